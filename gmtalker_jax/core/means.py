"""A metric is a pair (total, count). Pairs merge by addition and by nothing else.

So padding adds nothing, a phase that is not due adds (0, 0), and the order of hosts and batches
does not matter.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp


class Mean(NamedTuple):
  """A mean in the making: `total / count`."""

  total: jax.Array
  count: jax.Array

  @classmethod
  def of(cls, values: jax.Array, mask: jax.Array | None = None) -> 'Mean':
    """Sums `values` (any shape) where `mask` (broadcastable, 1 = valid) is set."""
    values = jnp.asarray(values, jnp.float32)
    mask = jnp.ones(values.shape) if mask is None else jnp.broadcast_to(mask, values.shape)
    return cls(jnp.where(mask > 0, values * mask, 0.0).sum(), mask.sum())


def merge(a: Mapping[str, Mean], b: Mapping[str, Mean]) -> dict[str, Mean]:
  """Adds two dictionaries of means with the same names, on the device or off it."""
  return {name: Mean(a[name].total + b[name].total, a[name].count + b[name].count) for name in a}


def finalize(means: Mapping[str, Mean]) -> dict[str, float]:
  """Divides. Names that nothing was counted for are left out."""
  return {name: float(m.total / m.count) for name, m in means.items() if m.count > 0}
