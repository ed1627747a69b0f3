"""Metrics of steps, gathered between two reports."""

import math
from collections.abc import Callable, Mapping

import jax
import numpy as np

from gmtalker_jax.core import means
from gmtalker_jax.core.means import Mean
from gmtalker_jax.train.faults import Taken
from gmtalker_jax.train.programs import APPLIED


class Report:
  """Means since the last report. A step is read one step late, so the device never waits."""

  def __init__(self, applied: Callable[[], None], skipped: Callable[..., None]):
    """Calls `applied()` or `skipped(taken, {name: what is not finite})` when a step is read."""
    self._applied, self._skipped = applied, skipped
    self._pending: tuple[Taken, Mapping[str, Mean]] | None = None
    self._total: dict[str, Mean] | None = None

  def add(self, taken: Taken, metrics: Mapping[str, Mean]) -> None:
    """Takes the metrics of a step that may still be running; reads those of the one before."""
    self.check()
    self._pending = (taken, metrics)

  def check(self) -> None:
    """Reads what is pending."""
    if self._pending is None:
      return
    (taken, metrics), self._pending = self._pending, None
    metrics = jax.device_get(dict(metrics))
    broken = {n: float(m.total) for n, m in metrics.items() if not math.isfinite(m.total)}
    fine = metrics[APPLIED].total > 0
    if not fine:  # it counts as a step, and for nothing else
      metrics = {**jax.tree.map(np.zeros_like, metrics), APPLIED: metrics[APPLIED]}
    self._total = metrics if self._total is None else means.merge(self._total, metrics)
    if fine:
      self._applied()
    else:
      self._skipped(taken, broken)

  def take(self) -> dict[str, float]:
    """The means since the last call."""
    self.check()
    total, self._total = self._total, None
    return means.finalize(total or {})


def named(split: str, values: Mapping[str, float]) -> dict[str, float]:
  """`{'loss': 1}` -> `{'SPLIT/loss': 1}`."""
  return {f'{split}/{name}': value for name, value in values.items()}
