"""Do lips and sound belong together? SyncNet's question, asked of coefficients (method 8.19).

Two short networks in time, one of 5 video frames of coefficients and one of the 10 speech rows
beside them, end in vectors of one space (Chung and Zisserman 2016; on coefficients: GeneFace).
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from gmtalker_jax.core.bounds import Count
from gmtalker_jax.models.layers import Dense

WINDOW = 5  # video frames that are compared; twice as many rows of speech


class LipSync(nn.Module):
  """Logits of "this sound was said by these lips", one for each window of 5 frames."""

  width: Count = 256

  def setup(self):
    """Creates the two networks and the scale of their agreement."""
    self.lip_window = nn.Conv(self.width, (WINDOW,), padding='VALID')
    self.sound_window = nn.Conv(self.width, (2 * WINDOW,), 2, padding='VALID')
    self.lip_hidden, self.lip_out = Dense(self.width), Dense(self.width)
    self.sound_hidden, self.sound_out = Dense(self.width), Dense(self.width)
    self.scale = self.param('scale', nn.initializers.constant(2.3), ())  # e^2.3 = 10
    self.bias = self.param('bias', nn.initializers.zeros, ())

  def __call__(self, expression: jax.Array, speech: jax.Array) -> jax.Array:
    """expression [B, T, E], speech [B, 2T, D], both standardised -> logits [B, T - 4]."""
    return self.agreement(self.lips(expression), self.sound(speech))

  def lips(self, expression: jax.Array) -> jax.Array:
    """Unit vectors of all windows: [B, T, E] -> [B, T - 4, width]."""
    hidden = nn.gelu(self.lip_window(expression))
    return _unit(self.lip_out(nn.gelu(self.lip_hidden(hidden))))

  def sound(self, speech: jax.Array) -> jax.Array:
    """The same of speech: [B, 2T, D] -> [B, T - 4, width]."""
    hidden = nn.gelu(self.sound_window(speech))
    return _unit(self.sound_out(nn.gelu(self.sound_hidden(hidden))))

  def agreement(self, lips: jax.Array, sound: jax.Array) -> jax.Array:
    """Their cosine, scaled to a logit: two [..., width] -> [...]."""
    return jnp.exp(self.scale) * (lips * sound).sum(-1) + self.bias


def windows(mask: jax.Array) -> jax.Array:
  """Which windows have five valid frames: mask [B, T] -> [B, T - 4]."""
  count = mask.shape[1] - WINDOW + 1
  return jnp.stack([mask[:, k : k + count] for k in range(WINDOW)]).min(0)


def _unit(x: jax.Array) -> jax.Array:
  return x * jax.lax.rsqrt(jnp.square(x).sum(-1, keepdims=True) + 1e-8)
