"""The terms of the two variational bounds (method 2.4, 2.5, 3.2) and their schedules."""

import jax
import jax.numpy as jnp

from gmtalker_jax.core import distributions
from gmtalker_jax.core.distributions import Gaussian


def conditional_kl(posterior: Gaussian, components: Gaussian, weights: jax.Array) -> jax.Array:
  """L_cond = Σ_k r_k KL(q(z) || p(z | w, e_k)): [B, Z], [B, K, Z], weights [B, K] -> [B]."""
  each = distributions.kl(Gaussian(*(a[:, None] for a in posterior)), components)
  return (weights * each).sum(-1)


def interpolated_kl(posterior: Gaussian, components: Gaussian, weights: jax.Array) -> jax.Array:
  """L_cond for a blend: KL(q(z) || law of Σ_k e_k z^k), the law that sampling has -> [B].

  For one-hot weights it is `conditional_kl`. For a blend that one asks z to be in several places at
  once, and its cross-entropy puts every blend on the border between two components; then a level
  of 1/3 in training is not the point at 1/3 that sampling goes to.
  """
  return distributions.kl(posterior, distributions.interpolate(weights, components))


def standard_kl(posterior: Gaussian) -> jax.Array:
  """L_w = KL(q || N(0, I)): [..., Z] -> [...]."""
  return distributions.kl(posterior, distributions.standard_like(posterior))


def uniform_kl(log_weights: jax.Array) -> jax.Array:
  """L_emo = KL(r || U) = Σ_k r_k (log r_k + log K): log r [..., K] -> [...]."""
  count = log_weights.shape[-1]
  return (jnp.exp(log_weights) * (log_weights + jnp.log(count))).sum(-1)


def cross_entropy(labels: jax.Array, log_weights: jax.Array) -> jax.Array:
  """-Σ_k y_k log r_k: labels [..., K], log r [..., K] -> [...]."""
  return -(labels * log_weights).sum(-1)


def flow_kl(posterior: Gaussian, latents: jax.Array, prior: jax.Array, mask: jax.Array):
  """E_q[log q(z') - log p(z')] by one sample, objective (B) of method 3.2.

  `latents` [B, L, C] is the sample, `prior` [B] its flow log-density, `mask` [B, L]. -> [B]
  """
  own = (distributions.log_density(posterior, latents) * mask).sum(-1)
  return own - prior


def ramp(step: jax.Array, start: float, end: float, steps: int) -> jax.Array:
  """Linear warm-up from `start` to `end` over `steps` steps."""
  return start + (end - start) * jnp.clip(step / max(steps, 1), 0.0, 1.0)


def free_bits(value: jax.Array, floor: jax.Array | float) -> jax.Array:
  """The minimum-information constraint: nothing is gained below `floor` nats."""
  return jnp.maximum(value, floor)
