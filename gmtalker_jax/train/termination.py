"""Being asked to end, and doing it at the border of a step."""

import contextlib
import signal
import threading
from typing import Any

import jax
from jax.experimental import multihost_utils

# Stopped from outside, state saved: run it again. SIGUSR1 is what a scheduler sends before the time
# is up (`sbatch --signal=USR1@120`).
EXIT_PREEMPTED = 75  # EX_TEMPFAIL
EXIT_WARNED = 76
_CODES = {
  signal.SIGTERM: EXIT_PREEMPTED,
  signal.SIGINT: EXIT_PREEMPTED,
  signal.SIGUSR1: EXIT_WARNED,
}


class Preempted(SystemExit):
  """SIGTERM, SIGINT or SIGUSR1 came: the state is saved; an uncaught one ends with its code."""

  def __init__(self, step: int, code: int = EXIT_PREEMPTED):
    super().__init__(code)
    self.step, self.exit_code = step, code

  def __str__(self) -> str:
    return f'stopped at step {self.step}, which is saved; run the same command again to go on'


class Termination(contextlib.AbstractContextManager):
  """Turns SIGTERM, SIGINT and SIGUSR1 into a question, asked at the border of a step."""

  def __enter__(self) -> 'Termination':
    self._asked = False
    self.code = EXIT_PREEMPTED
    self._before = {}
    # With several processes JAX itself makes them agree on a step.
    if jax.process_count() == 1 and threading.current_thread() is threading.main_thread():
      for number in _CODES:
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
    del frame
    self._asked, self.code = True, _CODES[signal.Signals(number)]
