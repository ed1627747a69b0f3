"""LPIPS's arithmetic on random weights of VGG16's shapes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmtalker_jax.models import perceptual


@pytest.fixture(scope='module')
def weights():
  rng = np.random.default_rng(0)
  sizes, before = [], 3
  for layers, width in zip(perceptual.BLOCKS, perceptual.WIDTHS, strict=True):
    for _ in range(layers):
      sizes.append((3, 3, before, width))
      before = width
  draw = lambda s: jnp.asarray(rng.normal(size=s) * np.sqrt(2 / np.prod(s[:-1])), jnp.float32)  # noqa: E731
  return {
    'kernel': [draw(s) for s in sizes],
    'bias': [jnp.zeros(s[-1]) for s in sizes],
    'head': [jnp.full(w, 1 / w) for w in perceptual.WIDTHS],
  }


def test_shapes_are_checked(weights):
  perceptual.check(weights)
  with pytest.raises(ValueError, match='got kernels'):
    perceptual.check({**weights, 'kernel': weights['kernel'][:-1]})
  with pytest.raises(ValueError, match='got other heads'):
    perceptual.check({**weights, 'head': weights['head'][::-1]})


def test_distance_is_zero_at_the_truth_grows_and_has_finite_gradients(weights):
  truth = jax.random.uniform(jax.random.key(0), (2, 32, 32, 3), minval=-1)
  noise = jax.random.normal(jax.random.key(1), truth.shape)

  @jax.jit
  @jax.value_and_grad
  def loss(scale):
    return perceptual.distance(weights, truth + scale * noise, truth).mean()

  values = [loss(jnp.asarray(s)) for s in (0.0, 0.1, 0.5)]
  assert values[0][0] < 1e-9  # not exactly 0: XLA may order the two passes differently
  assert values[0][0] < values[1][0] < values[2][0]
  assert all(np.isfinite(g) for _, g in values)
