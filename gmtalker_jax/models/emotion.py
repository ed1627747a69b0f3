"""From a random style to a style code: EMN (method 4.2), and what it is measured against."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from gmtalker_jax.models.style import Linear, leaky_relu_gain, pixel_norm


class EmotionMapping(nn.Module):
  """A style code from a random style and the weights of the emotions.

  `s(e) = sum_k e_k h_k(g(z_style))`: a trunk g that all emotions share, one head h_k for each, and
  a sum that is exactly linear in e. So a one-hot e selects a branch, and appearance moves on a
  straight line between emotions. Leaky ReLUs carry a gain of sqrt(2) here, so that the code starts
  with unit variance and the modulation feels it.
  """

  emotions: int = 8
  style_dim: int = 64
  width: int = 256
  trunk_layers: int = 2

  @nn.compact
  def __call__(self, z_style: jax.Array, emotion: jax.Array) -> jax.Array:
    """Returns [B, style_dim] for `z_style` [B, Z] ~ N(0, I) and `emotion` [B, K]."""
    return jnp.einsum('bk,bks->bs', emotion, self.branches(z_style))

  @nn.nowrap
  def branches(self, z_style: jax.Array) -> jax.Array:
    """Returns the codes of all pure emotions, [B, K, style_dim]. Call inside `apply` only."""
    x = pixel_norm(z_style)
    for i in range(self.trunk_layers):
      x = leaky_relu_gain(Linear(self.width, name=f'trunk_{i}')(x))
    x = jnp.broadcast_to(x[:, None], (x.shape[0], self.emotions, x.shape[-1]))
    x = leaky_relu_gain(self._heads('hidden', x, self.width))
    return self._heads('code', x, self.style_dim)

  @nn.nowrap
  def _heads(self, name: str, x: jax.Array, features: int) -> jax.Array:
    fan_in = x.shape[-1]
    shape = (self.emotions, fan_in, features)
    weight = self.param(f'{name}_weight', nn.initializers.normal(1.0), shape) * fan_in**-0.5
    bias = self.param(f'{name}_bias', nn.initializers.zeros, (self.emotions, features))
    return jnp.einsum('bki,kio->bko', x, weight) + bias[None]


class StyleMapping(nn.Module):
  """The mapping network of the public StyleUNet, which EMN replaces: it is told no emotion."""

  style_dim: int = 64
  layers: int = 4

  @nn.compact
  def __call__(self, z_style: jax.Array) -> jax.Array:
    """Returns [B, style_dim] for `z_style` [B, Z] ~ N(0, I)."""
    x = pixel_norm(z_style)
    for i in range(self.layers):
      x = leaky_relu_gain(Linear(self.style_dim, name=f'layer_{i}')(x))
    return x
