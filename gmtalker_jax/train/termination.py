"""Being asked to end, and doing it at the border of a step."""

import contextlib
import signal
import threading
from typing import Any

import jax
from jax.experimental import multihost_utils

EXIT_PREEMPTED = 75  # EX_TEMPFAIL: stopped from outside, state saved, run it again


class Preempted(SystemExit):
  """SIGTERM or SIGINT came: the state is saved; an uncaught one ends with EXIT_PREEMPTED."""

  def __init__(self, step: int):
    super().__init__(EXIT_PREEMPTED)
    self.step = step

  def __str__(self) -> str:
    return f'stopped at step {self.step}, which is saved; run the same command again to go on'


class Termination(contextlib.AbstractContextManager):
  """Turns SIGTERM and SIGINT into a question that is asked at the border of a step."""

  def __enter__(self) -> 'Termination':
    self._asked = False
    self._before = {}
    # With several processes JAX itself makes them agree on a step.
    if jax.process_count() == 1 and threading.current_thread() is threading.main_thread():
      for number in (signal.SIGTERM, signal.SIGINT):
        self._before[number] = signal.signal(number, self._ask)
    return self

  def __exit__(self, *error) -> None:
    for number, handler in self._before.items():
      signal.signal(number, handler)

  def asked(self, step: int) -> bool:
    """True once the process was asked to end."""
    if jax.process_count() > 1:
      return multihost_utils.reached_preemption_sync_point(step)
    return self._asked

  def _ask(self, number: int, frame: Any) -> None:
    del number, frame
    self._asked = True
