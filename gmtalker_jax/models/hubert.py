"""HuBERT (Hsu et al. 2021), for published weights: sound to features at 50 Hz (method 1.2).

Two layouts, told apart by `large`: the base one normalises the first convolution over the whole
clip and is post-norm; the large one normalises each row of each convolution and is pre-norm.
wav2vec 2 in the same layouts is the same network.

Row r looks at the samples 320 r .. 320 r + 399 by its convolutions, and at every row by attention.
Nothing here is an approximation for long clips: convolutions are run piece by piece with the
statistics of the whole (`first`, `convolve`), attention a few queries at a time.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax.core.arrays import blank
from gmtalker_jax.models.layers import BLOCKED

KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
REACH, HOP = 400, 320  # samples that a row sees, and between two rows
_EPSILON = 1e-5  # of all norms
_SCORES = 1 << 22  # of one head that are in memory at once


class Moments(NamedTuple):
  """Of each channel of the first convolution, over a clip."""

  mean: jax.Array | np.ndarray  # [C]
  variance: jax.Array | np.ndarray  # [C]


class Block(nn.Module):
  """Self-attention over the whole clip, and feed-forward."""

  width: int
  heads: int
  inner: int
  large: bool

  def setup(self):
    """Creates the parts."""
    self.query, self.key, self.value, self.out = (nn.Dense(self.width) for _ in range(4))
    self.attention_norm, self.feed_norm = (nn.LayerNorm(epsilon=_EPSILON) for _ in range(2))
    self.expand, self.contract = nn.Dense(self.inner), nn.Dense(self.width)

  def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
    """x [B, N, W], mask [B, N] -> [B, N, W]; masked rows are seen by none."""
    if self.large:
      x = x + self._attend(self.attention_norm(x), mask)
      return x + self._feed(self.feed_norm(x))
    x = self.attention_norm(x + self._attend(x, mask))
    return self.feed_norm(x + self._feed(x))

  def _feed(self, x: jax.Array) -> jax.Array:
    return self.contract(nn.gelu(self.expand(x), approximate=False))

  def _attend(self, x: jax.Array, mask: jax.Array) -> jax.Array:
    rows = x.shape[1]
    split = (*x.shape[:2], self.heads, -1)
    key, value = self.key(x).reshape(split), self.value(x).reshape(split)
    query = self.query(x).reshape(split) * (self.width // self.heads) ** -0.5
    bias = jnp.where(mask > 0, 0.0, BLOCKED)[:, None, None]

    def some(queries: jax.Array) -> jax.Array:
      scores = jnp.einsum('bqhd,bnhd->bhqn', queries, key) + bias
      return jnp.einsum('bhqn,bnhd->bqhd', jax.nn.softmax(scores, -1), value)

    at_once = min(rows, max(16, _SCORES // rows))
    short = -rows % at_once
    padded = jnp.pad(query, ((0, 0), (0, short), (0, 0), (0, 0)))
    pieces = padded.reshape(len(x), -1, at_once, *query.shape[2:]).swapaxes(0, 1)
    seen = jax.lax.map(some, pieces).swapaxes(0, 1).reshape(padded.shape)[:, :rows]
    return self.out(seen.reshape(x.shape))


class Hubert(nn.Module):
  """The network up to its last hidden state."""

  width: int = 768
  depth: int = 12
  heads: int = 12
  inner: int = 3072
  channels: int = 512
  large: bool = False
  biased: bool = False  # whether the convolutions have biases
  position_kernel: int = 128
  position_groups: int = 16

  def setup(self):
    """Creates the parts."""
    self.convolutions = [
      nn.Conv(self.channels, (kernel,), (stride,), 'VALID', use_bias=self.biased)
      for kernel, stride in zip(KERNELS, STRIDES, strict=True)
    ]
    if self.large:
      self.convolution_norms = [nn.LayerNorm(epsilon=_EPSILON) for _ in KERNELS]
    else:
      self.clip_scale = self.param('clip_scale', nn.initializers.ones, (self.channels,))
      self.clip_bias = self.param('clip_bias', nn.initializers.zeros, (self.channels,))
    self.feature_norm, self.norm = (nn.LayerNorm(epsilon=_EPSILON) for _ in range(2))
    self.projection = nn.Dense(self.width)
    half = self.position_kernel // 2
    self.position = nn.Conv(
      self.width,
      (self.position_kernel,),
      padding=((half, self.position_kernel - 1 - half),),
      feature_group_count=self.position_groups,
    )
    self.blocks = [Block(self.width, self.heads, self.inner, self.large) for _ in range(self.depth)]

  def __call__(self, wave: jax.Array) -> jax.Array:
    """A whole clip [B, S] of mean 0 and variance 1 -> [B, N, W], N = (S - 400) // 320 + 1."""
    features = self.convolve(wave, self.moments(wave))
    return self.transform(features, jnp.ones(features.shape[:2]))

  def first(self, wave: jax.Array) -> jax.Array:
    """The first convolution [B, M, C] of [B, S], before it is normalised."""
    return self.convolutions[0](wave[..., None])

  def moments(self, wave: jax.Array) -> Moments:
    """What the base layout normalises the first convolution with. One clip: B = 1, or alike."""
    x = self.first(wave)
    return Moments(x.mean((0, 1)), x.var((0, 1)))

  def convolve(self, wave: jax.Array, moments: Moments) -> jax.Array:
    """Any run of samples [B, S] -> features [B, N, C]; `moments` of its clip (base layout)."""
    x = wave[..., None]
    for i, convolution in enumerate(self.convolutions):
      x = convolution(x)
      if self.large:
        x = self.convolution_norms[i](x)
      elif i == 0:
        scale = self.clip_scale * jax.lax.rsqrt(moments.variance + _EPSILON)
        x = (x - moments.mean[None, None]) * scale[None, None] + self.clip_bias[None, None]
      x = nn.gelu(x, approximate=False)
    return x

  def transform(self, features: jax.Array, mask: jax.Array) -> jax.Array:
    """All features of a clip [B, N, C], mask [B, N] of what is of the clip -> [B, N, W]."""
    x = blank(self.projection(self.feature_norm(features)), mask)
    x = x + nn.gelu(self.position(x), approximate=False)
    if not self.large:
      x = self.norm(x)
    for block in self.blocks:
      x = block(x, mask)
    return self.norm(x) if self.large else x
