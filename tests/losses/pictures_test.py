"""Crops are the same square of both pictures, anywhere in them."""

import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax.losses import pictures


def test_both_pictures_lose_the_same_pixels():
  place = jnp.stack(jnp.meshgrid(jnp.arange(8.0), jnp.arange(8.0), indexing='ij'), -1)
  place = jnp.tile(place[None], (3, 1, 1, 1))
  corners = set()
  for seed in range(60):
    one, two = pictures.crops(jax.random.key(seed), (place, place + 100), 5)
    assert one.shape == (3, 5, 5, 2)
    np.testing.assert_array_equal(two, one + 100)
    np.testing.assert_array_equal(one[:, 4, 4] - one[:, 0, 0], np.full((3, 2), 4.0))
    corners |= {tuple(map(int, c)) for c in one[:, 0, 0]}
  assert corners == {(i, j) for i in range(4) for j in range(4)}  # also those at the far edges


def test_the_whole_picture():
  image = jnp.ones((2, 8, 8, 3))
  assert pictures.crops(jax.random.key(0), (image,), 0)[0] is image
  assert pictures.crops(jax.random.key(0), (image,), 8)[0] is image
