"""Errors between coefficients and their reconstruction, over valid frames only."""

import jax
import jax.numpy as jnp

from gmtalker_jax.core.arrays import masked_mean


def squared_error(
  target: jax.Array, output: jax.Array, mask: jax.Array, weights: jax.Array | None = None
) -> jax.Array:
  """Per-frame mean over coefficients of the weighted squared error: [B, T, E] -> [B, T].

  Frames where `mask` [B, T] is 0 give 0, whatever they hold. `weights` [E] are relative.
  """
  error = jnp.square(jnp.where(mask[..., None] > 0, target - output, 0.0))
  return (error if weights is None else error * weights[None, None]).mean(-1)


def mean_squared_error(target, output, mask, weights=None) -> jax.Array:
  """L_rec (method 2.4): (1 / Σm) Σ_t m_t |target - output|² / E, a scalar."""
  return masked_mean(squared_error(target, output, mask, weights), mask)


def velocity_error(target, output, mask, weights=None) -> jax.Array:
  """The same of frame differences, where both frames are valid."""
  both = mask[:, 1:] * mask[:, :-1]

  def change(x):
    return x[:, 1:] - x[:, :-1]

  return mean_squared_error(change(target), change(output), both, weights)
