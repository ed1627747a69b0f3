import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmtalker_jax.core import arrays


@pytest.mark.parametrize('library', [np, jnp])
def test_bytes_and_signed_pictures_are_inverse(library):
  every = library.arange(256, dtype=library.uint8)
  signed = arrays.to_signed(every)
  assert signed.dtype == np.float32
  assert (float(signed[0]), float(signed[-1])) == (-1.0, 1.0)
  assert arrays.to_bytes(signed).dtype == np.uint8
  np.testing.assert_array_equal(arrays.to_bytes(signed), every)


def test_bytes_are_the_nearest_and_clipped():
  edges = (np.arange(255, dtype=np.float32) + 0.5) / 127.5 - 1
  values = np.concatenate([edges + d for d in (-1e-6, 0, 1e-6)] + [[-1.5, 1.5, -np.inf, np.inf]])
  values = values.astype(np.float32)
  exact = (np.clip(values.astype(np.float64), -1, 1) + 1) * 127.5
  found = arrays.to_bytes(values)
  assert np.abs(found - exact).max() < 0.5 + 1e-4
  np.testing.assert_array_equal(jax.jit(arrays.to_bytes)(values), found)
