"""The numbers of method 2.4, and the schedules."""

import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax.core import distributions
from gmtalker_jax.core.distributions import Gaussian
from gmtalker_jax.losses import reconstruction, variational


def _gaussian(mean, variance):
  return Gaussian(jnp.array(mean)[None], jnp.log(jnp.array(variance))[None])


def _terms(posterior, components, z):
  log_r = distributions.log_responsibilities(jnp.array([z]), components)
  each = distributions.kl(Gaussian(*(a[:, None] for a in posterior)), components)
  cond = variational.conditional_kl(posterior, components, jnp.exp(log_r))
  return jnp.exp(log_r)[0], each[0], cond[0], variational.uniform_kl(log_r)[0]


def test_two_components_of_the_method():
  posterior = _gaussian([0.0, 0.0], [1.0, 1.0])
  components = _gaussian([[1.0, 0.0], [-1.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]])
  r, each, cond, emo = _terms(posterior, components, [0.5, 0.0])
  np.testing.assert_allclose(r, [0.7310586, 0.2689414], atol=1e-5)
  np.testing.assert_allclose(each, [0.5, 0.5], atol=1e-5)
  np.testing.assert_allclose([cond, emo], [0.5, 0.1109441], atol=1e-5)


def test_three_components_of_the_method():
  posterior = _gaussian([0.2, -0.4], [0.5, 0.25])
  components = _gaussian(
    [[0.0, 0.0], [1.0, 1.0], [-1.0, 0.5]], [[1.0, 1.0], [0.5, 2.0], [0.25, 0.25]]
  )
  r, each, cond, emo = _terms(posterior, components, [0.3, -0.1])
  np.testing.assert_allclose(r, [0.64699286, 0.30791854, 0.04508861], atol=1e-5)
  np.testing.assert_allclose(each, [0.51472077, 1.73222077, 4.65342641], atol=1e-5)
  np.testing.assert_allclose([cond, emo], [1.07622006, 0.31445997], atol=1e-5)
  w = variational.standard_kl(_gaussian([0.1, -0.3], [0.9, 0.4]))
  np.testing.assert_allclose(w[0], 0.21082562, atol=1e-5)


def test_cross_entropy_is_least_at_the_labels():
  labels = jnp.array([[0.7, 0.2, 0.1]])
  right = variational.cross_entropy(labels, jnp.log(labels))
  wrong = variational.cross_entropy(labels, jnp.log(jnp.array([[0.2, 0.7, 0.1]])))
  assert right[0] < wrong[0]
  np.testing.assert_allclose(
    variational.cross_entropy(jnp.array([[0.0, 1.0, 0.0]]), jnp.log(labels)), -jnp.log(0.2), 1e-6
  )


def test_ramp_uses_the_step():
  def at(step):
    return float(variational.ramp(jnp.array(step), 1e-3, 1e-2, 10))

  np.testing.assert_allclose([at(0), at(5), at(10), at(99)], [1e-3, 5.5e-3, 1e-2, 1e-2], rtol=1e-5)


def test_free_bits():
  np.testing.assert_array_equal(variational.free_bits(jnp.array([0.1, 2.0]), 0.5), [0.5, 2.0])


def test_masked_frames_add_nothing_even_when_they_are_nan():
  target, output = jnp.ones((1, 4, 2)), jnp.zeros((1, 4, 2))
  mask = jnp.array([[1.0, 1.0, 1.0, 0.0]])
  broken = target.at[0, 3].set(jnp.nan)
  assert reconstruction.mean_squared_error(broken, output, mask) == 1.0
  assert reconstruction.velocity_error(broken, output, mask) == 0.0
  moving = target.at[0, 1].set(3.0)
  np.testing.assert_allclose(reconstruction.velocity_error(moving, output, mask), 4.0)


def test_a_blend_is_the_law_of_what_sampling_makes():
  keys = jax.random.split(jax.random.key(3), 4)
  components = Gaussian(*(jax.random.normal(k, (1, 3, 2)) * 0.7 for k in keys[:2]))
  weights = jnp.array([[0.2, 0.5, 0.3]])
  noise = jax.random.normal(keys[2], (200_000, 1, 2))
  each = components.mean + jnp.exp(0.5 * components.log_variance) * noise
  drawn = jnp.einsum('nkz,k->nz', each, weights[0])
  blend = distributions.interpolate(weights, components)
  np.testing.assert_allclose(blend.mean[0], drawn.mean(0), atol=0.01)
  np.testing.assert_allclose(jnp.exp(0.5 * blend.log_variance[0]), drawn.std(0), rtol=0.01)
  assert float(variational.interpolated_kl(blend, components, weights)[0]) < 1e-6


def test_for_a_plain_label_the_blend_is_the_component():
  keys = jax.random.split(jax.random.key(4), 4)
  components = Gaussian(*(jax.random.normal(k, (2, 3, 4)) for k in keys[:2]))
  posterior = Gaussian(*(jax.random.normal(k, (2, 4)) for k in keys[2:]))
  labels = jax.nn.one_hot(jnp.array([2, 0]), 3)
  np.testing.assert_allclose(
    variational.interpolated_kl(posterior, components, labels),
    variational.conditional_kl(posterior, components, labels),
    rtol=1e-5,
  )
