"""The discriminator of the portrait stage: StyleGAN2's, on Haar wavelets (method 4.3)."""

from typing import Annotated, Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.ad_checkpoint import checkpoint_name

from gmtalker_jax.core.bounds import Count, OneOf, Positive
from gmtalker_jax.core.errors import check_choice
from gmtalker_jax.models import style as parts
from gmtalker_jax.models.layers import DTYPES


class Discriminator(nn.Module):
  """Real or painted? One logit for each picture, > 0 = real.

  The picture may carry the rendering as three more channels, then the question is whether the two
  belong together.
  """

  size: Count = 512
  channel_multiplier: Positive = 1.0
  max_channels: Count = 512
  group: Count = 4  # of the minibatch standard deviation
  dtype: Annotated[str, OneOf(DTYPES)] = 'float32'  # of the convolutions: float32 | bfloat16

  @nn.compact
  def __call__(self, image: jax.Array) -> jax.Array:
    """Returns logits [B] for `image` [B, size, size, C]."""
    check_choice('dtype', self.dtype, DTYPES)
    settings: dict[str, Any] = {'activation': parts.leaky_relu_gain, 'dtype': self.dtype}
    resolution, width = self.size // 2, self._channels(self.size)
    x = None
    while True:
      seen = parts.FromRGB(width, name=f'from_rgb_{resolution}', **settings)(image)
      x = seen if x is None else x + seen
      if resolution == 4:
        break
      # As published: a block's width is that of half its output's picture size, so that the
      # 64-pixel block of a 256-pixel picture is 512 wide already.
      width = self._channels(resolution // 2)
      x = parts.ConvBlock(width, name=f'block_{resolution}', **settings)(x)
      x = checkpoint_name(x, 'block')
      image = parts.downsample(image)
      resolution //= 2
    x = jnp.concatenate((x, minibatch_deviation(x, self.group)), -1)
    x = parts.Conv(self._channels(4), name='last', **settings)(x)
    x = x.reshape(x.shape[0], -1).astype(jnp.float32)
    x = parts.leaky_relu_gain(parts.Linear(self._channels(4), name='hidden')(x))
    return parts.Linear(1, name='logit')(x)[:, 0]

  def _channels(self, resolution: int) -> int:
    return parts.channels(resolution, self.channel_multiplier, self.max_channels)


def minibatch_deviation(x: jax.Array, group: int) -> jax.Array:
  """Returns [B, H, W, 1]: how much the examples of a group differ from each other.

  Groups are as large as `group` allows while dividing the batch; example i is in a group with
  i + n, i + 2n, ... where n is the number of groups, as published.
  """
  batch, height, width, _ = x.shape
  group = max(g for g in range(1, min(group, batch) + 1) if batch % g == 0)
  y = x.astype(jnp.float32).reshape(group, batch // group, -1)
  deviation = jnp.sqrt(y.var(0) + parts.EPSILON).mean(-1)  # [B / group]
  deviation = jnp.tile(deviation, group)[:, None, None, None]
  return jnp.broadcast_to(deviation, (batch, height, width, 1)).astype(x.dtype)
