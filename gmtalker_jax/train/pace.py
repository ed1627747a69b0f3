"""How fast a run is, and what it waits for, between two reports."""

import time

import numpy as np


class Pace:
  """Times of steps as the loop sees them. A device works ahead by one step, so single ones blur."""

  def __init__(self, batch_size: int, devices: int, ideal: float = 0.0):
    """`ideal`: seconds of a step at the devices' peak; 0 where that is not known."""
    self._examples = batch_size / devices
    self._ideal = ideal
    self._last: float | None = None
    self._steps: list[float] = []
    self._waits: list[float] = []
    self._compile: float | None = None

  def waited(self, seconds: float) -> None:
    """Tells how long the loop waited for a batch."""
    self._waits.append(seconds)

  def step(self, begun: float) -> None:
    """Tells that a step was given to the device; `begun` is when its batch was asked for."""
    now = time.monotonic()
    if self._last is None:
      self._compile = now - begun  # the first one compiles: it says nothing about speed
      self._waits.clear()
    else:
      self._steps.append(now - self._last)
    self._last = now

  def pause(self) -> None:
    """Tells that what was done since the last step was no training."""
    self._last = time.monotonic()

  def take(self) -> dict[str, float]:
    """What to report, in seconds and shares; see docs/recovery.md."""
    steps, waits = np.array(self._steps), np.array(self._waits)
    self._steps.clear()
    self._waits.clear()
    found: dict[str, float] = {}
    if self._compile is not None:
      found['compile_seconds'], self._compile = self._compile, None
    if len(steps):
      found |= {
        'step_seconds': steps.mean(),
        'step_seconds_median': float(np.median(steps)),
        'step_seconds_max': steps.max(),
        'examples_per_second_per_device': self._examples / max(steps.mean(), 1e-9),
        'data_wait_share': waits.sum() / max(steps.sum(), 1e-9),
      }
      if self._ideal:
        found['mfu'] = self._ideal / max(float(np.median(steps)), 1e-9)
    return {name: float(f'{value:.4g}') for name, value in found.items()}
