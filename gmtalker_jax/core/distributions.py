"""Diagonal Gaussians, mixtures of them, and the divergences that a mixture prior needs.

distrax has no KL to a mixture and its sampling gives the mixture weights no gradient (both by
design), so training uses the closed forms below; the mixture itself is for densities.
"""

from typing import NamedTuple

import distrax
import jax
import jax.numpy as jnp


class Gaussian(NamedTuple):
  """Diagonal Gaussians; the last axis is the event. For a mixture the axis before it is K."""

  mean: jax.Array  # [..., Z]
  log_variance: jax.Array  # [..., Z]


def sample(gaussian: Gaussian, noise: jax.Array, temperature: float = 1.0) -> jax.Array:
  """Reparameterised sample from standard normal `noise` (broadcastable to the mean)."""
  return gaussian.mean + temperature * jnp.exp(0.5 * gaussian.log_variance) * noise


def row_noise(key: jax.Array, shape: tuple[int, ...], rows: int = 1) -> jax.Array:
  """Standard normal noise whose entries depend on their own place in the first `rows` axes only.

  So longer batches and longer clips keep the noise of the shorter ones, on any device layout. The
  key is consumed.
  """
  if rows == 0:
    return jax.random.normal(key, shape)
  keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(shape[0]))
  return jax.vmap(lambda k: row_noise(k, shape[1:], rows - 1))(keys)


def log_density(gaussian: Gaussian, value: jax.Array) -> jax.Array:
  """Log-density of `value` [..., Z] -> [...]."""
  return jnp.asarray(_independent(gaussian).log_prob(value))


def mixture(logits: jax.Array, components: Gaussian) -> distrax.MixtureSameFamily:
  """Mixture density: logits [..., K], components [..., K, Z]; `.log_prob([..., Z])` -> [...]."""
  return distrax.MixtureSameFamily(distrax.Categorical(logits=logits), _independent(components))


def log_responsibilities(
  value: jax.Array, components: Gaussian, logits: jax.Array | None = None
) -> jax.Array:
  """log p(k | value) by Bayes' rule (method 2.3): value [B, Z], components [B, K, Z] -> [B, K].

  `logits` [B, K] are the log-weights of the components; equal weights without them.
  """
  scores = log_density(components, value[..., None, :])
  return jax.nn.log_softmax(scores if logits is None else scores + logits, axis=-1)


def kl(p: Gaussian, q: Gaussian) -> jax.Array:
  """KL(p || q) summed over the event, broadcasting: [..., Z] -> [...] (method 2.4)."""
  return kl_per_dimension(p, q).sum(-1)


def kl_per_dimension(p: Gaussian, q: Gaussian) -> jax.Array:
  """KL(p || q) of every dimension: [..., Z]."""
  gap = q.log_variance - p.log_variance
  distance = jnp.square(p.mean - q.mean) * jnp.exp(-q.log_variance)
  return 0.5 * (gap + jnp.exp(-gap) + distance - 1.0)


def standard_like(gaussian: Gaussian) -> Gaussian:
  """N(0, I) of the same shape."""
  return Gaussian(jnp.zeros_like(gaussian.mean), jnp.zeros_like(gaussian.log_variance))


def moment_match(weights: jax.Array, components: Gaussian) -> Gaussian:
  """The Gaussian with the mixture's mean and variances: weights [..., K] -> [..., Z]."""
  weights = weights[..., None]
  mean = (weights * components.mean).sum(-2)
  spread = jnp.square(components.mean - mean[..., None, :])
  variance = (weights * (jnp.exp(components.log_variance) + spread)).sum(-2)
  return Gaussian(mean, jnp.log(variance))


def interpolate(weights: jax.Array, components: Gaussian) -> Gaussian:
  """The law of Σ_k e_k z^k with one noise for all k: weights [..., K] -> [..., Z] (method 2.7).

  The blend that sampling makes: means and standard deviations are averaged, not densities.
  """
  weights = weights[..., None]
  deviation = (weights * jnp.exp(0.5 * components.log_variance)).sum(-2)
  return Gaussian((weights * components.mean).sum(-2), 2.0 * jnp.log(deviation))


def _independent(gaussian: Gaussian) -> distrax.Independent:
  # Not MultivariateNormalDiag: that one cannot leave a jitted function.
  scale = jnp.exp(0.5 * gaussian.log_variance)
  return distrax.Independent(distrax.Normal(gaussian.mean, scale), 1)
