"""Starts processes that train as one, and starts all of them again when one of them is lost."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.train.processes import DIRECTORY, EXIT_LOST
from gmtalker_jax.train.termination import EXIT_PREEMPTED, EXIT_WARNED
from gmtalker_jax.train.watchdog import EXIT_STUCK

KILLED = 128 + signal.SIGKILL  # what a shell makes of a killed process
# After these the same command goes on. What failed (1) or was wrongly asked for (2) would do so
# again.
AGAIN = (EXIT_PREEMPTED, EXIT_WARNED, EXIT_STUCK, EXIT_LOST, KILLED)
_SAVED = (EXIT_PREEMPTED, EXIT_WARNED)
_LOOK = 0.1  # seconds between two looks at the processes


class End(NamedTuple):
  """How a group ended, by the process that ended first."""

  index: int
  code: int  # as a shell would say it: 128 + N after signal N


def supervise(
  start: Callable[[], Sequence[subprocess.Popen]],
  restarts: int,
  newest: Callable[[], int],
  grace: float = 10.0,
) -> int:
  """Runs a group of processes to its end; returns the exit code.

  After an end in `AGAIN`, or by any signal, all are started again: so often in a row without a
  newer checkpoint. SIGTERM, SIGINT and SIGUSR1 are passed on, and then nothing is started again; a
  second one ends the processes at once.

  Args:
    start: starts all processes.
    restarts: the budget; it is full again once a newer step is saved.
    newest: the newest saved step, 0 if there is none.
    grace: seconds that the others have to end by themselves when one is lost.
  """
  left, seen = restarts, newest()
  with _Asked() as asked:
    while True:
      end = _wait(start(), asked, grace)
      if not end.code or asked.times:
        return end.code
      if end.code not in AGAIN and end.code < 128:
        return end.code
      step = newest()
      if step > seen:
        left, seen = restarts, step
      what = f'launch: process {end.index} {_named(end.code)}'
      if not left:
        _say(f'{what}; {restarts} restarts brought no newer checkpoint than step {step}')
        return end.code
      left -= 1
      _say(f'{what}; all start again from step {step} ({left} of {restarts} restarts left)')


@contextlib.contextmanager
def claimed(workdir: str | Path) -> Generator[int, None, None]:
  """Yields a lock of a workdir, to be handed down to the processes that train in it.

  So it is held while any of them lives, whatever became of the one that started them.

  Raises:
    InputError: another group is at work there.
  """
  path = Path(workdir) / DIRECTORY / 'lock'
  path.parent.mkdir(parents=True, exist_ok=True)
  lock = os.open(path, os.O_RDWR | os.O_CREAT)
  try:
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      raise InputError(
        f'got {str(workdir)!r}, in which processes of another launch are at work, expected a '
        'workdir that is free; stop them, or wait'
      ) from None
    yield lock
  finally:
    os.close(lock)


def _wait(group: Sequence[subprocess.Popen], asked: '_Asked', grace: float) -> End:
  first: End | None = None
  deadline, told = float('inf'), False
  while True:
    codes = [_code(process.poll()) for process in group]
    ended = [End(i, code) for i, code in enumerate(codes) if code]
    if ended and first is None:
      first = max(ended, key=lambda end: _tells(end.code))
      if first.code not in _SAVED:
        deadline = time.monotonic() + grace
    if None not in codes:
      return first or End(0, 0)
    if asked.times and not told:
      told = True
      for process in group:
        process.send_signal(signal.SIGTERM)  # JAX makes them agree on a step
    if time.monotonic() > deadline or asked.times > 1:
      for process in group:
        process.kill()  # they wait for the lost one; a save in progress is lost, no finished one
    time.sleep(_LOOK)


def _tells(code: int) -> int:
  """Of ends that are seen at once the one that tells most: the others may have followed it."""
  if code == EXIT_LOST:
    return 0
  return 1 if code < EXIT_PREEMPTED else 2


def _code(code: int | None) -> int | None:
  return 128 - code if code is not None and code < 0 else code


def _named(code: int) -> str:
  known = {
    EXIT_PREEMPTED: 'was stopped and has saved',
    EXIT_WARNED: 'was stopped and has saved',
    EXIT_STUCK: 'was stuck',
    EXIT_LOST: 'lost another one',
  }
  if code - 128 in set(signal.Signals):
    return f'was killed by {signal.Signals(code - 128).name}'
  return f'{known.get(code, "ended")} (code {code})'


def _say(line: str) -> None:
  sys.stderr.write(line + '\n')
  sys.stderr.flush()


class _Asked(contextlib.AbstractContextManager):
  """Counts the signals that ask to end."""

  def __enter__(self) -> '_Asked':
    self.times = 0
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    self._before = {number: signal.signal(number, self._ask) for number in numbers}
    return self

  def __exit__(self, *error) -> None:
    for number, handler in self._before.items():
      signal.signal(number, handler)

  def _ask(self, number: int, frame: Any) -> None:
    del number, frame
    self.times += 1
