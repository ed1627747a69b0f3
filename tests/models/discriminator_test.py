"""The discriminator's published size and its minibatch statistics."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmtalker_jax.models.discriminator import Discriminator, minibatch_deviation


@pytest.mark.parametrize(
  ('size', 'public'), [(256, 26_243_329), (512, 27_465_089), (1024, 27_771_841)]
)
def test_parameters_at_public_size(size, public):
  image = jnp.zeros((1, size, size, 6))
  shapes = jax.eval_shape(Discriminator(size).init, jax.random.key(0), image)
  assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes)) == public


def test_minibatch_deviation():
  x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 2, 2, 3)), jnp.float32)
  out = minibatch_deviation(x, 2)  # groups (0, 2) and (1, 3)
  expected = [np.std(np.asarray(x)[[i, i + 2]], 0).mean() for i in (0, 1, 0, 1)]
  assert out.shape == (4, 2, 2, 1)
  np.testing.assert_allclose(out[:, 0, 0, 0], expected, rtol=1e-4)
  assert minibatch_deviation(x[:3], 2).shape == (3, 2, 2, 1)  # 2 does not divide 3: groups of 1
  np.testing.assert_allclose(minibatch_deviation(x[:1], 4), 1e-4, rtol=1e-3)
