import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmtalker_jax.core import convolution, winograd


def normal(*shape: int, seed: int = 0) -> jax.Array:
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def written_out(x, weight):
  x, weight = np.asarray(x, np.float64), np.asarray(weight, np.float64)
  high, wide = x.shape[1:3]
  padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
  return sum(
    padded[:, i : i + high, j : j + wide] @ weight[i, j] for i in range(3) for j in range(3)
  )


@pytest.mark.parametrize(('high', 'wide'), [(1, 1), (4, 5), (6, 3), (7, 8), (8, 8)])
def test_it_is_the_sum_at_any_height(high, wide):
  x, weight = normal(2, high, wide, 3), normal(3, 3, 3, 5, seed=1)
  found = winograd.convolve(x, weight)
  np.testing.assert_allclose(found, written_out(x, weight), atol=1e-4)


def test_wide_layers_round_little():
  x, weight = normal(1, 16, 16, 192), normal(3, 3, 192, 96, seed=1)
  truth = written_out(x, weight)
  assert np.abs(winograd.convolve(x, weight) - truth).max() < 1e-5 * np.abs(truth).max()


def gradient_written_out(x, y):
  x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
  high, wide = x.shape[1:3]
  padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
  taps = [np.einsum('bhwi,bhwo->io', padded[:, i : i + high, j : j + wide], y) for i in range(3)
          for j in range(3)]  # fmt: skip
  return np.reshape(taps, (3, 3, x.shape[3], y.shape[3]))


@pytest.mark.parametrize(('high', 'wide'), [(1, 1), (4, 5), (6, 3), (7, 8), (8, 8)])
def test_the_gradient_of_the_weight_is_its_sum_at_any_size(high, wide):
  x, y = normal(2, high, wide, 3), normal(2, high, wide, 5, seed=1)
  np.testing.assert_allclose(winograd.overlap(x, y), gradient_written_out(x, y), atol=2e-4)


def test_a_gradient_of_many_pixels_rounds_little():
  x, y = normal(1, 64, 64, 64), normal(1, 64, 64, 48, seed=1)
  truth = gradient_written_out(x, y)
  assert np.abs(winograd.overlap(x, y) - truth).max() < 3e-5 * np.abs(truth).max()


def test_a_cpu_takes_it_for_gradients_of_many_pixels():
  def products(size, channels):
    x = jnp.zeros((1, size, size, channels))
    lowered = jax.jit(lambda x, y: convolution.overlap(x, y, 1, 1)).trace(x, x).lower()
    return lowered.as_text().count('stablehlo.dot_general')

  assert products(16, 48) == 36
  assert products(8, 48) == products(16, 24) == 0


def test_a_cpu_takes_it_for_wide_layers_in_single_precision_alone():
  def products(channels, dtype='float32', platform='cpu'):
    x, weight = jnp.zeros((1, 8, 8, channels), dtype), jnp.zeros((3, 3, channels, channels), dtype)
    traced = jax.jit(convolution.convolve).trace(x, weight)
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    return text.count('stablehlo.convolution')

  assert products(48) == 6
  assert products(24) == products(48, 'bfloat16') == products(48, platform='cuda') == 1
