"""Ends a process that makes no steps any more: a disk, a peer or a device that does not answer."""

import contextlib
import faulthandler
import os
import sys
import threading
import time

import jax

EXIT_STUCK = 77
_FIRST = 10  # times as long for the first step, which compiles


class Watchdog(contextlib.AbstractContextManager):
  """Watches from a thread of its own whether `at` is still called."""

  def __init__(self, seconds: float):
    """`seconds` without a call end the process with EXIT_STUCK, with all stacks; 0 = never."""
    self._seconds = seconds
    self._seen = time.monotonic() + _FIRST * seconds
    self._step, self._doing = 0, 'the start'
    self._over = threading.Event()

  def __enter__(self) -> 'Watchdog':
    if self._seconds:
      threading.Thread(target=self._watch, name='watchdog', daemon=True).start()
    return self

  def __exit__(self, *error) -> None:
    self._over.set()

  def at(self, step: int, doing: str) -> None:
    """Tells what the loop does now, and that it is alive."""
    first = doing if self._doing == 'the start' else ''
    self._step, self._doing = step, doing
    if not first:
      self._seen = time.monotonic()

  def _watch(self) -> None:
    while not self._over.wait(min(self._seconds / 4, 5.0)):
      if time.monotonic() - self._seen > self._seconds:
        several = '; it may be another process that this one waits for'
        sys.stderr.write(
          f'gmtalker: process {jax.process_index()} is stuck: {self._doing} of step {self._step} '
          f'has taken more than {self._seconds:g} s (config.faults.watchdog_s)'
          f'{several if jax.process_count() > 1 else ""}; all stacks follow\n'
        )
        faulthandler.dump_traceback(all_threads=True)
        sys.stderr.flush()
        os._exit(EXIT_STUCK)  # whoever is stuck would not hear an exception
