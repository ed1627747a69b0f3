"""The MoG mapper: w to the K components of the mixture over z (method 2.6)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from gmtalker_jax.core.distributions import Gaussian
from gmtalker_jax.models.layers import Dense, EncoderBlock


class MLPMapper(nn.Module):
  """Two hidden layers, then one linear head per component."""

  components: int
  latent_dim: int
  width: int

  @nn.compact
  def __call__(self, w: jax.Array) -> Gaussian:
    """w [B, w_dim] -> means and log-variances [B, K, Z]."""
    x = nn.gelu(Dense(self.width, name='hidden_0')(w))
    x = nn.gelu(Dense(self.width, name='hidden_1')(x))
    shape = (self.components, self.latent_dim)
    mean = nn.DenseGeneral(shape, bias_init=_spread, name='mean')(x)
    return Gaussian(mean, _log_variance(nn.DenseGeneral(shape, name='log_variance')(x)))


class TransformerMapper(nn.Module):
  """K learned queries that attend to the token of w and to each other."""

  components: int
  latent_dim: int
  width: int
  heads: int = 4
  layers: int = 2

  @nn.compact
  def __call__(self, w: jax.Array) -> Gaussian:
    """w [B, w_dim] -> means and log-variances [B, K, Z]."""
    token = Dense(self.width, name='token')(w)[:, None]
    queries = self.param('queries', nn.initializers.normal(1.0), (self.components, self.width))
    x = jnp.broadcast_to(queries[None], (w.shape[0], *queries.shape))
    free = jnp.zeros((1, self.heads, self.components, self.components + 1))
    for i in range(self.layers):
      x = EncoderBlock(self.width, self.heads, name=f'blocks_{i}')(x, free, token)
    x = nn.LayerNorm(name='norm')(x)
    # One bias per component, spread as in the MLP, so that the components start apart.
    bias = self.param('bias', _spread, (self.components, self.latent_dim))
    mean = Dense(self.latent_dim, use_bias=False, name='mean')(x) + bias[None]
    return Gaussian(mean, _log_variance(Dense(self.latent_dim, name='log_variance')(x)))


_spread = nn.initializers.truncated_normal(1.0)


def _log_variance(x: jax.Array) -> jax.Array:
  return jnp.clip(x, -6.0, 4.0)
