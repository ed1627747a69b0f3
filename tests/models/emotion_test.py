"""The emotion mapping network is linear in the weights, and one-hot weights are a branch."""

import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax.models.emotion import EmotionMapping

NET = EmotionMapping(emotions=8, style_dim=16, width=32)
Z = jax.random.normal(jax.random.key(1), (3, 16))
PARAMS = NET.init(jax.random.key(0), Z, jnp.ones((3, 8)))


def code(weights) -> jax.Array:
  weights = jnp.broadcast_to(jnp.asarray(weights, jnp.float32), (3, 8))
  return NET.apply(PARAMS, Z, weights)


def branch(k: int) -> np.ndarray:
  """Computes the code of emotion k with numpy."""
  p = jax.tree.map(np.asarray, PARAMS['params'])

  def relu(x):
    return np.where(x > 0, x, 0.2 * x) * np.sqrt(2)

  z = np.asarray(Z)
  x = z / np.sqrt((z**2).mean(-1, keepdims=True) + 1e-8)
  for i in range(2):
    layer = p[f'trunk_{i}']
    x = relu(x @ layer['weight'] / np.sqrt(x.shape[-1]) + layer['bias'])
  x = relu(x @ p['hidden_weight'][k] / np.sqrt(32) + p['hidden_bias'][k])
  return x @ p['code_weight'][k] / np.sqrt(32) + p['code_bias'][k]


def test_one_hot_is_the_branch():
  for k in range(8):
    np.testing.assert_allclose(code(np.eye(8)[k][None]), branch(k), rtol=1e-4, atol=1e-5)


def test_linear_in_the_weights():
  a, b = np.random.default_rng(0).dirichlet(np.ones(8), 2)[:, None]
  np.testing.assert_allclose(
    code(0.3 * a + 0.7 * b), 0.3 * code(a) + 0.7 * code(b), rtol=1e-5, atol=1e-5
  )
  np.testing.assert_allclose(code(0 * a), 0, atol=0)


def test_code_starts_with_about_unit_variance():
  z = jax.random.normal(jax.random.key(2), (256, 16))
  out = NET.apply(PARAMS, z, jnp.tile(jnp.eye(8), (32, 1)))
  assert 0.5 < float(out.var()) < 2
