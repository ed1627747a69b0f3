"""What a decoder is fed back while it trains: truth, withheld, noisy, or its own output.

Trained on truth alone a decoder learns to copy the previous frame and drifts on its own outputs;
every option here makes it listen to speech and latent instead.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from gmtalker_jax.core import rng

# decode(frames [B, T, E], keep [B, T]) -> [B, T, E]
Decode = Callable[[jax.Array, jax.Array], jax.Array]


def withheld(key: jax.Array, mask: jax.Array, rate: float) -> jax.Array:
  """Keep-mask [B, T]: whole clips are withheld with `rate`, frames of the rest with `rate`."""
  clips, frames = jax.random.split(key)
  keep = rng.bernoulli(frames, 1.0 - rate, mask.shape)
  whole = rng.bernoulli(clips, 1.0 - rate, (mask.shape[0], 1))
  return (keep & whole).astype(mask.dtype)


def decode(
  run: Decode,
  truth: jax.Array,
  mask: jax.Array,
  key: jax.Array,
  dropout: float,
  noise: float,
  own: jax.Array | float,
) -> jax.Array:
  """Runs the decoder on disturbed feedback: truth [B, T, E], mask [B, T] -> [B, T, E].

  `dropout` withholds feedback, `noise` is a standard deviation, `own` the probability that a
  frame is replaced by the decoder's own output from a first pass without gradient (scheduled
  sampling; a plain 0 costs nothing). The key is consumed.
  """
  keys = jax.random.split(key, 3)
  keep = withheld(keys[0], mask, dropout) if dropout else jnp.ones_like(mask)
  fed = truth
  if not (isinstance(own, float | int) and own == 0):
    outputs = jax.lax.stop_gradient(run(truth, keep))
    replaced = rng.bernoulli(keys[1], own, mask.shape)
    fed = jnp.where(replaced[..., None], outputs, fed)
  if noise:
    fed = fed + noise * rng.normal(keys[2], fed.shape)
  return run(fed, keep)
