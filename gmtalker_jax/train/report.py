"""Metrics of steps, gathered between two reports."""

import math
from collections.abc import Mapping
from typing import Any

import jax

from gmtalker_jax.core import means


class Diverged(RuntimeError):
  """A metric is no longer finite."""


class Report:
  """Means since the last report. A step is read one step late, so the device never waits."""

  def __init__(self):
    self._pending: tuple[int, Any] | None = None
    self._total: dict[str, means.Mean] | None = None

  def add(self, step: int, metrics: Mapping[str, means.Mean]) -> None:
    """Takes the metrics of a step that may still be running; reads those of the one before."""
    self.check()
    self._pending = (step, metrics)

  def check(self) -> None:
    """Reads what is pending. Raises Diverged if it is not finite."""
    if self._pending is None:
      return
    (step, metrics), self._pending = self._pending, None
    metrics = jax.device_get(metrics)
    for name, value in metrics.items():
      if not math.isfinite(value.total):
        raise Diverged(
          f'got {value.total} for {name} of phase {name.split("/")[0]!r} at step {step}, expected '
          'a finite number; lower the learning rate or look at the data of that batch'
        )
    self._total = metrics if self._total is None else means.merge(self._total, metrics)

  def take(self) -> dict[str, float]:
    """The means since the last call."""
    self.check()
    total, self._total = self._total, None
    return means.finalize(total or {})


def named(split: str, values: Mapping[str, float]) -> dict[str, float]:
  """`{'loss': 1}` -> `{'SPLIT/loss': 1}`."""
  return {f'{split}/{name}': value for name, value in values.items()}
