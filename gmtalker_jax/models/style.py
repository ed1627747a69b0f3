"""The parts that StyleUNet and its discriminator are built of (method 4.3).

Pictures are [B, H, W, C]. Weights are drawn from N(0, 1) and scaled when used ("equalised learning
rate"), so that one step of Adam moves every layer by the same relative amount.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.ad_checkpoint import checkpoint_name

from gmtalker_jax.core.convolution import blur, convolve, convolve_down, convolve_up

SLOPE = 0.2  # of the leaky ReLU
EPSILON = 1e-8  # of demodulation and pixel norm


def channels(resolution: int, multiplier: float = 1.0, limit: int = 512) -> int:
  """Returns the width of a layer at `resolution`: 512 up to 64, then halved at each doubling.

  `multiplier` thins or widens the public network (1.0) and `limit` caps it; the result is a
  multiple of 8 and at least 16.
  """
  wanted = min(512, 32768 // resolution) * multiplier
  return max(16, 8 * round(min(wanted, limit) / 8))


# Wavelets and filters.


def haar(image: jax.Array) -> jax.Array:
  """Haar transform [B, H, W, C] -> [B, H/2, W/2, 4C]: bands ll, lh, hl, hh of all channels.

  Orthonormal: every band is a sum over a 2x2 block with weights +-1/2.
  """
  b, h, w, c = image.shape
  blocks = image.reshape(b, h // 2, 2, w // 2, 2, c)
  top, bottom = blocks[:, :, 0], blocks[:, :, 1]
  low, high = (top + bottom) / 2, (top - bottom) / 2
  (low_left, low_right), (high_left, high_right) = (
    (x[:, :, :, 0], x[:, :, :, 1]) for x in (low, high)
  )
  bands = (low_left + low_right, high_left + high_right)
  return jnp.concatenate((*bands, low_left - low_right, high_left - high_right), -1)


def inverse_haar(bands: jax.Array) -> jax.Array:
  """Undoes `haar`: [B, H, W, 4C] -> [B, 2H, 2W, C]."""
  b, h, w, c = bands.shape
  ll, lh, hl, hh = jnp.split(bands / 2, 4, -1)
  top = jnp.stack((ll + lh + hl + hh, ll + lh - hl - hh), 3)  # left, right
  bottom = jnp.stack((ll - lh + hl - hh, ll - lh - hl + hh), 3)
  return jnp.stack((top, bottom), 2).reshape(b, 2 * h, 2 * w, c // 4)


def downsample(image: jax.Array) -> jax.Array:
  """Halves a picture: blur, then every second pixel."""
  return blur(image, (1, 1))[:, ::2, ::2]


def upsample(image: jax.Array) -> jax.Array:
  """Doubles a picture: zeros between the pixels, then four times the blur."""
  for axis in (1, 2):
    widths = [(0, 0)] * image.ndim
    widths[axis] = (1, 1)
    padded = jnp.pad(image, widths)
    size = image.shape[axis]
    before, here, after = (jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(3))
    # The filter meets two real pixels at a time: (1, 3) or (3, 1) out of 4.
    pair = jnp.stack((here * 0.75 + before * 0.25, here * 0.75 + after * 0.25), axis + 1)
    image = pair.reshape(*image.shape[:axis], 2 * size, *image.shape[axis + 1 :])
  return image


def leaky_relu(x: jax.Array) -> jax.Array:
  """Leaky ReLU of slope 0.2, without the gain of sqrt(2)."""
  return nn.leaky_relu(x, SLOPE)


def leaky_relu_gain(x: jax.Array) -> jax.Array:
  """Leaky ReLU of slope 0.2 times sqrt(2): keeps the second moment of a normal input."""
  return nn.leaky_relu(x, SLOPE) * math.sqrt(2)


def pixel_norm(x: jax.Array) -> jax.Array:
  """Scales the last axis to a mean square of 1."""
  return x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + EPSILON)


# Layers.


class Linear(nn.Module):
  """Equalised linear layer [..., I] -> [..., features]."""

  features: int
  bias: float = 0.0  # its initial value
  dtype: str = 'float32'

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Returns [..., features]."""
    fan_in = x.shape[-1]
    weight = self.param('weight', nn.initializers.normal(1.0), (fan_in, self.features))
    bias = self.param('bias', nn.initializers.constant(self.bias), (self.features,))
    x, weight = x.astype(self.dtype), (weight * fan_in**-0.5).astype(self.dtype)
    return jnp.dot(x, weight) + jnp.broadcast_to(bias, (*x.shape[:-1], self.features)).astype(
      self.dtype
    )


class Conv(nn.Module):
  """Equalised convolution, bias and activation; with `down`, blur and stride 2 as well."""

  features: int
  size: int = 3
  down: bool = False
  activation: Callable[[jax.Array], jax.Array] = leaky_relu
  dtype: str = 'float32'

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Returns [B, H, W, features], or half the size with `down`."""
    shape = (self.size, self.size, x.shape[-1], self.features)
    weight = _scaled_weight(self, shape)
    bias = self.param('bias', nn.initializers.zeros, (self.features,))
    x, weight = x.astype(self.dtype), weight.astype(self.dtype)
    x = convolve_down(x, weight) if self.down else convolve(x, weight)
    x = checkpoint_name(x, 'layer')
    return self.activation(x + bias.astype(self.dtype)[None, None, None])


class ModulatedConv(nn.Module):
  """Convolution whose input channels are scaled by a style, and whose output is re-normalised.

  Un-fused: the input is scaled and the output demodulated, which equals convolving each example
  with weights of its own, but keeps one dense convolution for the whole batch.
  """

  features: int
  size: int = 3
  up: bool = False
  demodulate: bool = True
  dtype: str = 'float32'

  @nn.compact
  def __call__(self, x: jax.Array, style: jax.Array) -> jax.Array:
    """Returns [B, H, W, features] (twice the size with `up`) for `style` [B, S]."""
    shape = (self.size, self.size, x.shape[-1], self.features)
    weight = _scaled_weight(self, shape)
    scale = Linear(x.shape[-1], bias=1.0, name='modulation')(style)  # [B, I], float32
    x = x.astype(self.dtype) * scale.astype(self.dtype)[:, None, None]
    convolution = convolve_up if self.up else convolve
    x = checkpoint_name(convolution(x, weight.astype(self.dtype)), 'layer')
    if self.demodulate:
      power = jnp.square(scale) @ jnp.square(weight).sum((0, 1))
      x = x * jax.lax.rsqrt(power + EPSILON).astype(self.dtype)[:, None, None]
    return x


class StyledConv(nn.Module):
  """Modulated convolution, noise, bias, leaky ReLU. Noise is one map for the whole batch."""

  features: int
  up: bool = False
  dtype: str = 'float32'

  @nn.compact
  def __call__(
    self, x: jax.Array, style: jax.Array, noise_key: jax.Array | None = None
  ) -> jax.Array:
    """Returns as `ModulatedConv` does; `noise_key` is consumed, None = no noise."""
    x = ModulatedConv(self.features, up=self.up, dtype=self.dtype, name='conv')(x, style)
    strength = self.param('noise', nn.initializers.zeros, ())
    bias = self.param('bias', nn.initializers.zeros, (self.features,))
    if noise_key is not None:
      noise = jax.random.normal(noise_key, (1, *x.shape[1:3], 1)) * strength
      x = x + noise.astype(self.dtype)
    return leaky_relu(x + bias.astype(self.dtype)[None, None, None])


class ToRGB(nn.Module):
  """Features [B, H, W, C] -> picture [B, 2H, 2W, 3], by way of its 12 wavelet channels."""

  dtype: str = 'float32'

  @nn.compact
  def __call__(self, x: jax.Array, style: jax.Array) -> jax.Array:
    """Returns [B, 2H, 2W, 3] in float32 for `style` [B, S]."""
    x = ModulatedConv(12, size=1, demodulate=False, dtype=self.dtype, name='conv')(x, style)
    bias = self.param('bias', nn.initializers.zeros, (12,))
    return inverse_haar(x.astype(jnp.float32) + bias[None, None, None])


class FromRGB(nn.Module):
  """Picture [B, 2H, 2W, C] -> features [B, H, W, features], by way of its wavelets."""

  features: int
  activation: Callable[[jax.Array], jax.Array] = leaky_relu
  dtype: str = 'float32'

  @nn.compact
  def __call__(self, image: jax.Array) -> jax.Array:
    """Returns [B, H, W, features]."""
    settings: dict[str, Any] = {'activation': self.activation, 'dtype': self.dtype}
    return Conv(self.features, 1, name='conv', **settings)(haar(image))


class ConvBlock(nn.Module):
  """Two convolutions; the second halves the resolution."""

  features: int
  activation: Callable[[jax.Array], jax.Array] = leaky_relu
  dtype: str = 'float32'

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Returns [B, H/2, W/2, features]."""
    settings: dict[str, Any] = {'activation': self.activation, 'dtype': self.dtype}
    x = Conv(x.shape[-1], name='conv', **settings)(x)
    return Conv(self.features, down=True, name='conv_down', **settings)(x)


def _scaled_weight(module: nn.Module, shape: tuple[int, ...]) -> jax.Array:
  weight = module.param('weight', nn.initializers.normal(1.0), shape)
  return weight * math.prod(shape[:-1]) ** -0.5
