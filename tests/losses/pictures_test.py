"""Crops are the same square of both pictures, anywhere in them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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


@pytest.mark.parametrize(
  ('within', 'size', 'low', 'high'), [(0.5, 3, 2, 3), (0.5, 4, 2, 2), (0.5, 6, 1, 1), (0, 2, 3, 3)]
)
def test_crops_about_the_middle(within, size, low, high):
  place = jnp.stack(jnp.meshgrid(jnp.arange(8.0), jnp.arange(8.0), indexing='ij'), -1)
  many = jnp.tile(place, (64, 1, 1, 1))
  (cut,) = pictures.crops(jax.random.key(0), (many,), size, within)
  assert (cut[:, 0, 0].min(), cut[:, 0, 0].max()) == (low, high)


def test_the_whole_picture():
  image = jnp.ones((2, 8, 8, 3))
  assert pictures.crops(jax.random.key(0), (image,), 0)[0] is image
  assert pictures.crops(jax.random.key(0), (image,), 8)[0] is image
