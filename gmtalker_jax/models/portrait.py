"""The portrait generator: a rendering of the head becomes a photograph (method 4)."""

from typing import Annotated

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.ad_checkpoint import checkpoint_name

from gmtalker_jax.core.bounds import Count, OneOf, Positive
from gmtalker_jax.core.errors import InputError, check_choice
from gmtalker_jax.models import style as parts
from gmtalker_jax.models.emotion import EmotionMapping, StyleMapping
from gmtalker_jax.models.layers import DTYPES

INJECTIONS = ('style_concat', 'none', 'input_concat')
MAPPINGS = ('emotion', 'plain')


class PortraitGenerator(nn.Module):
  """EMN beside StyleUNet.

  How z_gm, the latent of the expression generator, reaches the picture (`zgm_injection`):
    style_concat  the paper's first version: [EMN(z_style, e); Linear(z_gm)], 2 style_dim wide, is
                  projected back to style_dim by one linear layer here, so that StyleUNet itself is
                  the same network in every mode.
    none          the later versions: the style is EMN's code, z_gm is not used.
    input_concat  z_gm, projected to `latent_channels`, becomes constant extra channels of the
                  rendering.
  `style_mapping='plain'` takes EMN away: the style is a code of z_style alone.
  """

  input_size: Count = 256
  output_size: Count = 512
  channel_multiplier: Positive = 1.0  # 1.0 = the public network
  max_channels: Count = 512
  style_dim: Count = 64
  emotions: Count = 8
  latent_dim: Count = 256
  zgm_injection: Annotated[str, OneOf(INJECTIONS)] = 'style_concat'
  latent_channels: Count = 8
  style_mapping: Annotated[str, OneOf(MAPPINGS)] = 'emotion'
  mapping_width: Count = 256
  fuse_detail: bool = False  # see StyleUNet
  dtype: Annotated[str, OneOf(DTYPES)] = (
    'float32'  # of the convolutions: float32 | bfloat16; the rest stays float32
  )

  @nn.compact
  def __call__(
    self,
    rendering: jax.Array,
    emotion: jax.Array,
    latent: jax.Array,
    z_style: jax.Array,
    noise_key: jax.Array | None = None,
    style_shift: jax.Array | None = None,
  ) -> jax.Array:
    """Paints photographs.

    Args:
      rendering: [B, h, w, 3], -1..1, h = w = input_size.
      emotion: [B, K] weights on the simplex.
      latent: [B, Z] z_gm.
      z_style: [B, style_dim] ~ N(0, I); one per image in training, one per video when speaking.
      noise_key: consumed; None = no noise.
      style_shift: [B, style_dim] added to the code that modulates; None = nothing.

    Returns:
      [B, H, W, 3], about -1..1 and not clipped, H = W = output_size.
    """
    check_choice('zgm_injection', self.zgm_injection, INJECTIONS)
    check_choice('style_mapping', self.style_mapping, MAPPINGS)
    if self.style_mapping == 'plain':
      style = StyleMapping(self.style_dim, name='mapping')(z_style)
    else:
      style = EmotionMapping(self.emotions, self.style_dim, self.mapping_width, name='mapping')(
        z_style, emotion
      )
    if self.zgm_injection == 'style_concat':
      own = parts.Linear(self.style_dim, name='latent')(latent)
      style = parts.Linear(self.style_dim, name='style')(jnp.concatenate((style, own), -1))
    elif self.zgm_injection == 'input_concat':
      own = parts.Linear(self.latent_channels, name='latent')(latent)
      own = jnp.broadcast_to(own[:, None, None], (*rendering.shape[:3], self.latent_channels))
      rendering = jnp.concatenate((rendering, own), -1)
    if style_shift is not None:
      style = style + style_shift
    net = StyleUNet(
      self.input_size,
      self.output_size,
      self.channel_multiplier,
      self.max_channels,
      self.dtype,
      self.fuse_detail,
      name='unet',
    )
    return net(rendering, style, noise_key)


class StyleUNet(nn.Module):
  """U-Net with a style-modulated decoder, on Haar wavelets (method 4.3).

  The encoder looks at ever smaller copies of the rendering, from half its size down, and ends at
  8x8; the decoder climbs from there to output_size / 2 and adds up pictures on the way. Encoder
  features join the decoder at every resolution that both have. All additions of pictures happen in
  pixels: the wavelet transform is linear, so this equals adding wavelets, without transforming
  forth and back.

  In the public network nothing finer than input_size / 8 reaches the decoder directly: detail
  has to be coded into channels, which takes many thousands of steps to learn. `fuse_detail` also
  shows the decoder the rendering itself, at each of its resolutions up to input_size / 2; a small
  network then paints a clear mouth after hundreds of steps.
  """

  input_size: int = 256
  output_size: int = 512
  channel_multiplier: float = 1.0
  max_channels: int = 512
  dtype: str = 'float32'
  fuse_detail: bool = False

  @nn.compact
  def __call__(
    self, rendering: jax.Array, style: jax.Array, noise_key: jax.Array | None = None
  ) -> jax.Array:
    """Returns [B, H, W, 3] for `rendering` [B, h, w, C] and `style` [B, S]."""
    self._check(rendering)
    features = self._encode(rendering)
    details = self._details(rendering) if self.fuse_detail else {}
    return self._decode(features, details, style, noise_key)

  def _encode(self, image: jax.Array) -> dict[int, jax.Array]:
    """Returns encoder features by resolution: 8, 16, .. input_size / 8."""
    x, features = None, {}
    resolution, width = self.input_size // 4, self._channels(self.input_size)
    while resolution > 8:
      image = parts.downsample(image)
      seen = parts.FromRGB(width, dtype=self.dtype, name=f'from_rgb_{resolution}')(image)
      x = seen if x is None else x + seen
      resolution //= 2
      width = self._channels(resolution)
      x = parts.ConvBlock(width, dtype=self.dtype, name=f'encode_{resolution}')(x)
      x = checkpoint_name(x, 'block')
      features[resolution] = x
    return features

  def _details(self, image: jax.Array) -> dict[int, jax.Array]:
    """Returns the rendering as features at the decoder's resolutions, input_size / 2 .. 16."""
    details, resolution = {}, self.input_size // 2
    while resolution > 8:
      width = self._channels(resolution)
      x = parts.FromRGB(width, dtype=self.dtype, name=f'detail_rgb_{resolution}')(image)
      details[resolution] = parts.Conv(width, dtype=self.dtype, name=f'detail_{resolution}')(x)
      image, resolution = parts.downsample(image), resolution // 2
    return details

  def _decode(
    self,
    features: dict[int, jax.Array],
    details: dict[int, jax.Array],
    style: jax.Array,
    noise_key: jax.Array | None,
  ) -> jax.Array:
    x, image, resolution = None, None, 8
    while True:
      if resolution in features:
        seen = features[resolution]
        x = seen if x is None else jnp.concatenate((x, seen), -1)
        width = self._channels(resolution)
        x = parts.Conv(width, dtype=self.dtype, name=f'fuse_{resolution}')(x)
      if resolution == self.output_size // 2:
        assert image is not None  # the output is larger than 16 pixels
        return image
      resolution *= 2
      assert x is not None  # there are features of 8 pixels
      for i, up in enumerate((True, False)):
        if not up and resolution in details:
          x = x + details[resolution]
        key = None if noise_key is None else jax.random.fold_in(noise_key, 2 * resolution + i)
        x = parts.StyledConv(
          self._channels(resolution), up, self.dtype, name=f'decode_{resolution}_{i}'
        )(x, style, key)
      x = checkpoint_name(x, 'block')
      painted = parts.ToRGB(self.dtype, name=f'to_rgb_{resolution}')(x, style)
      image = painted if image is None else parts.upsample(image) + painted

  def _channels(self, resolution: int) -> int:
    return parts.channels(resolution, self.channel_multiplier, self.max_channels)

  def _check(self, rendering: jax.Array) -> None:
    check_choice('dtype', self.dtype, DTYPES)
    sizes = (self.input_size, self.output_size)
    if any(s not in (64, 128, 256, 512, 1024) for s in sizes) or sizes[1] < sizes[0]:
      raise InputError(
        f'got input_size {sizes[0]} and output_size {sizes[1]}, expected powers of two from 64 '
        'to 1024 with output >= input, change the config'
      )
    if rendering.shape[1:3] != (sizes[0], sizes[0]):
      raise InputError(
        f'got a rendering of {rendering.shape[1:3]} pixels, expected {sizes[0]} x {sizes[0]}, '
        'render at input_size or change input_size'
      )
