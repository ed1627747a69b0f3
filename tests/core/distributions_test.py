"""Mixtures against scipy, divergences against Monte Carlo, noise that padding does not move."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
import scipy.stats

from gmtalker_jax.core import distributions
from gmtalker_jax.core.distributions import Gaussian


def _components(seed=0, batch=3, count=4, size=5):
  keys = jax.random.split(jax.random.key(seed), 3)
  logits = jax.nn.log_softmax(jax.random.normal(keys[0], (batch, count)))
  shape = (batch, count, size)
  components = Gaussian(jax.random.normal(keys[1], shape), 0.5 * jax.random.normal(keys[2], shape))
  return logits, components


def test_mixture_log_density_is_scipys():
  logits, components = _components()
  value = jax.random.normal(jax.random.key(9), (3, 5))
  ours = distributions.mixture(logits, components).log_prob(value)
  scale = np.exp(0.5 * np.asarray(components.log_variance))
  each = scipy.stats.norm.logpdf(np.asarray(value)[:, None], components.mean, scale).sum(-1)
  theirs = scipy.special.logsumexp(each + np.asarray(logits), axis=-1)
  np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_mixture_leaves_a_jitted_function():
  logits, components = _components()
  made = jax.jit(distributions.mixture)(logits, components)
  value = jnp.zeros((3, 5))
  np.testing.assert_allclose(
    made.log_prob(value), distributions.mixture(logits, components).log_prob(value), rtol=1e-6
  )


def test_responsibilities_are_bayes_rule():
  logits, components = _components()
  value = jax.random.normal(jax.random.key(9), (3, 5))
  log_r = distributions.log_responsibilities(value, components, logits)
  joint = distributions.log_density(components, value[:, None]) + logits
  whole = distributions.mixture(logits, components).log_prob(value)
  np.testing.assert_allclose(log_r, joint - whole[:, None], rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(jnp.exp(log_r).sum(-1), 1.0, rtol=1e-5)


def test_equal_weights_do_not_change_responsibilities():
  _, components = _components()
  value = jnp.ones((3, 5))
  np.testing.assert_allclose(
    distributions.log_responsibilities(value, components, jnp.full((3, 4), -7.0)),
    distributions.log_responsibilities(value, components),
    atol=1e-5,
  )


def test_kl_is_the_mean_log_ratio():
  p = Gaussian(jnp.array([0.2, -0.4]), jnp.log(jnp.array([0.5, 0.25])))
  q = Gaussian(jnp.array([-0.3, 0.1]), jnp.log(jnp.array([0.9, 0.4])))
  noise = jax.random.normal(jax.random.key(0), (200_000, 2))
  draws = p.mean[None] + jnp.exp(0.5 * p.log_variance)[None] * noise

  def wide(g):
    return Gaussian(g.mean[None], g.log_variance[None])

  ratio = distributions.log_density(wide(p), draws) - distributions.log_density(wide(q), draws)
  np.testing.assert_allclose(distributions.kl(p, q), ratio.mean(), rtol=0.02)
  assert distributions.kl(p, p) == 0.0


def test_moment_match_has_the_mixtures_moments():
  logits, components = _components()
  matched = distributions.moment_match(jnp.exp(logits), components)
  dist = distributions.mixture(logits, components)
  np.testing.assert_allclose(matched.mean, dist.mean(), rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(jnp.exp(matched.log_variance), dist.variance(), rtol=1e-4)


def test_row_noise_of_a_longer_batch_begins_with_the_shorter():
  key = jax.random.key(3)
  short = distributions.row_noise(key, (2, 3, 4), rows=2)
  long = distributions.row_noise(key, (5, 7, 4), rows=2)
  np.testing.assert_array_equal(long[:2, :3], short)
  assert np.unique(np.asarray(long)).size == long.size
