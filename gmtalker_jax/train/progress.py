"""How far a run is: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Mapping
from datetime import timedelta

import jax
from tqdm import tqdm

SECONDS_PER_LINE = 30.0
_SHARES = {'pace/data_wait_share': 'data wait', 'pace/mfu': 'MFU'}


class Progress:
  """Shows step, speed, time left, every '.../loss' and the pace on stderr. A context manager."""

  def __init__(self, name: str, start: int, steps: int, shown: bool = True):
    self._name, self._steps = name, steps
    self._shown = shown and jax.process_index() == 0
    self._begun: float | None = None  # the first step compiles: it says nothing about speed
    self._first = start
    self._said = time.monotonic()
    self._bar = None
    if self._shown and sys.stderr.isatty():
      self._bar = tqdm(total=steps, initial=start, desc=name, unit='step', dynamic_ncols=True)

  def __enter__(self) -> 'Progress':
    return self

  def __exit__(self, *error) -> None:
    if self._bar is not None:
      self._bar.close()

  def update(self, step: int, metrics: Mapping[str, float]) -> None:
    """Tells that `step` steps are done; `metrics` are those of the last report."""
    headline = ', '.join(
      [f'{n} {v:.4g}' for n, v in metrics.items() if n.endswith('/loss')]
      + [f'{said} {100 * metrics[n]:.2g} %' for n, said in _SHARES.items() if n in metrics]
    )
    if self._bar is not None:
      self._bar.set_postfix_str(headline, refresh=False)
      self._bar.update(step - self._bar.n)
      return
    now = time.monotonic()
    if self._begun is None:
      self._begun, self._first = now, step
    elif self._shown and (now - self._said > SECONDS_PER_LINE or step == self._steps):
      self._said = now
      speed = (step - self._first) / max(now - self._begun, 1e-9)
      left = timedelta(seconds=round((self._steps - step) / max(speed, 1e-9)))
      sys.stderr.write(
        f'{self._name} {step}/{self._steps}, {speed:.1f} steps/s, {left} left, {headline}\n'
      )
