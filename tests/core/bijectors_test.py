"""The flow's contract: round trip, log-determinant, identity, masks, and who conditions whom."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmtalker_jax.core.bijectors import Flip, coupling_flow

LENGTH, CHANNELS, STEPS = 3, 4, 3


def _conditioner(seed):
  size = LENGTH * CHANNELS // 2
  weights = 0.5 * jax.random.normal(jax.random.key(seed), (2, size, size))

  def run(unchanged):  # mixes all positions, as a Transformer does
    flat = unchanged.reshape(unchanged.shape[0], -1)
    log_scale, shift = (jnp.tanh(flat @ w).reshape(unchanged.shape) for w in weights)
    return log_scale, shift

  return run


def _flow(mask=None):
  mask = jnp.ones((2, LENGTH)) if mask is None else mask
  return coupling_flow([_conditioner(i) for i in range(STEPS)], CHANNELS, mask)


@pytest.fixture
def z():
  return jax.random.normal(jax.random.key(0), (2, LENGTH, CHANNELS))


def test_round_trip(z):
  flow = _flow()
  moved, forward = flow.forward_and_log_det(z)
  back, inverse = flow.inverse_and_log_det(moved)
  assert jnp.abs(moved - z).max() > 0.1
  np.testing.assert_allclose(back, z, atol=1e-5)
  np.testing.assert_allclose(forward, -inverse, atol=1e-5)


def test_log_det_is_the_jacobians(z):
  flow = _flow()

  def flat(x):
    return flow.forward(x.reshape(1, LENGTH, CHANNELS).repeat(2, 0))[0].reshape(-1)

  expected = [jnp.linalg.slogdet(jax.jacfwd(flat)(row.reshape(-1)))[1] for row in z]
  np.testing.assert_allclose(flow.forward_log_det_jacobian(z), jnp.stack(expected), atol=1e-5)


def test_masked_positions_are_only_flipped_and_add_nothing(z):
  mask = jnp.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
  moved, log_det = _flow(mask).forward_and_log_det(z)
  last = z[0, 2] if STEPS % 2 == 0 else z[0, 2, ::-1]
  np.testing.assert_allclose(moved[0, 2], last, atol=1e-6)

  def whole(x):
    return _flow(mask).forward(x[None].repeat(2, 0))[0]

  jacobian = jax.jacfwd(lambda x: whole(z[0].at[:2].set(x))[:2].reshape(-1))(z[0, :2])
  expected = jnp.linalg.slogdet(jacobian.reshape(2 * CHANNELS, 2 * CHANNELS))[1]
  np.testing.assert_allclose(log_det[0], expected, atol=1e-5)


def test_second_half_conditions_the_first_and_stays(z):
  one = coupling_flow([_conditioner(0)], CHANNELS, jnp.ones((2, LENGTH)))
  moved = Flip().forward(one.forward(z))  # undo the flip that follows the coupling
  np.testing.assert_array_equal(moved[..., 2:], z[..., 2:])
  log_scale, shift = _conditioner(0)(z[..., 2:])
  np.testing.assert_allclose(moved[..., :2], z[..., :2] * jnp.exp(log_scale) + shift, rtol=1e-5)


def test_without_a_conditioner_nothing_moves(z):
  moved, log_det = coupling_flow([], CHANNELS, jnp.ones((2, LENGTH))).forward_and_log_det(z)
  np.testing.assert_array_equal(moved, z)
  np.testing.assert_array_equal(log_det, jnp.zeros(2))
