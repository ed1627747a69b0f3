"""Letters of the axes, and the few array operations that every floor above needs.

B batch · T video frames (25 Hz) · L latent frames · S audio samples (16 kHz) · D speech features ·
E expression coefficients · M motion coefficients · K emotions (= mixture components) · Z latent ·
H W pixels · C channels. Masks are float32, 1 = valid. Time is counted in frames, rotations are
radians, translations head widths.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def blank(values: jax.Array, mask: jax.Array) -> jax.Array:
  """Zeros `values` [B, T, ...] where `mask` [B, T] is 0, whatever stood there (nan too)."""
  mask = mask.reshape(mask.shape + (1,) * (values.ndim - mask.ndim))
  return jnp.where(mask > 0, values, jnp.zeros((), values.dtype))


def masked_mean(values: jax.Array, mask: jax.Array) -> jax.Array:
  """Mean of `values` where `mask` (same shape) is 1; 0 where nothing is valid."""
  return blank(values, mask).sum() / jnp.maximum(mask.sum(), 1.0)


def per_frame(values: jax.Array, frames: int) -> jax.Array:
  """Gives a clip's vector to every frame: [B, C] -> [B, T, C]; [B, T, C] stays as it is."""
  if values.ndim == 3:
    return values
  return jnp.broadcast_to(values[:, None, :], (values.shape[0], frames, values.shape[1]))


def group(values: jax.Array, stride: int) -> jax.Array:
  """Cuts time into groups, padding the last with zeros: [B, T, ...] -> [B, L, stride, ...]."""
  short = -values.shape[1] % stride
  pad = [(0, 0), (0, short)] + [(0, 0)] * (values.ndim - 2)
  values = jnp.pad(values, pad)
  return values.reshape(values.shape[0], -1, stride, *values.shape[2:])


def fan_out(latents: jax.Array, stride: int, frames: int) -> jax.Array:
  """Repeats every latent `stride` times and cuts to `frames`: [B, L, C] -> [B, T, C]."""
  return jnp.repeat(latents, stride, axis=1)[:, :frames]


def to_signed(picture: Any) -> Any:
  """A picture of bytes, uint8 0..255, as float32 -1..1; of NumPy, or of JAX."""
  return picture.astype(np.float32) / 127.5 - 1


def to_bytes(picture: Any) -> Any:
  """The inverse of `to_signed`: the nearest byte; what lies outside -1..1 is clipped."""
  return ((picture.clip(-1.0, 1.0) + 1) * 127.5).round().astype(np.uint8)
