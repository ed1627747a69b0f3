"""Haar, blur, equalised and modulated layers, against explicit arithmetic."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmtalker_jax.core import convolution
from gmtalker_jax.models import style


def normal(*shape: int, seed: int = 0) -> jax.Array:
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def explicit_filter(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
  """Convolves [H, W] with a kernel, full size."""
  h, w = x.shape
  k = len(kernel)
  out = np.zeros((h + k - 1, w + k - 1))
  for i in range(k):
    for j in range(k):
      out[i : i + h, j : j + w] += kernel[i, j] * x
  return out


BLUR = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64


@pytest.mark.parametrize(
  ('resolution', 'multiplier', 'limit', 'expected'),
  [(8, 1, 512, 512), (128, 1, 512, 256), (1024, 1, 512, 32), (64, 0.25, 512, 128),
   (256, 0.15, 512, 16), (64, 0.01, 512, 16), (64, 1, 96, 96), (128, 0.3, 512, 80)],
)  # fmt: skip
def test_channels(resolution, multiplier, limit, expected):
  assert style.channels(resolution, multiplier, limit) == expected


def test_haar_is_the_matrices_of_the_paper():
  low, high = np.array([1, 1]) / np.sqrt(2), np.array([1, -1]) / np.sqrt(2)
  block = np.random.default_rng(0).normal(size=(2, 2))
  expected = [np.sum(np.outer(r, c) * block) for c in (low, high) for r in (low, high)]
  bands = style.haar(jnp.asarray(block, jnp.float32)[None, :, :, None])[0, 0, 0]
  np.testing.assert_allclose(bands, expected, atol=1e-6)  # ll, lh (rows), hl (columns), hh


def test_haar_is_orthonormal_and_inverse_undoes_it():
  image = normal(2, 8, 12, 3)
  bands = style.haar(image)
  assert bands.shape == (2, 4, 6, 12)
  np.testing.assert_allclose(style.inverse_haar(bands), image, atol=1e-6)
  matrix = jax.jacobian(lambda x: style.haar(x.reshape(1, 4, 4, 1)).ravel())(jnp.zeros(16))
  np.testing.assert_allclose(matrix @ matrix.T, np.eye(16), atol=1e-6)
  means = image.reshape(2, 4, 2, 6, 2, 3).mean((2, 4))
  np.testing.assert_allclose(bands[..., :3], 2 * means, atol=1e-6)


@pytest.mark.parametrize('pad', [(1, 1), (2, 1), (2, 2)])
def test_blur_equals_explicit_convolution_and_so_does_its_gradient(pad):
  x = normal(1, 6, 8, 2)
  full = np.stack([explicit_filter(np.asarray(x)[0, :, :, c], BLUR) for c in range(2)], -1)
  crop = [slice(3 - pad[0], n + pad[1]) for n in (6, 8)]
  y = convolution.blur(x, pad)
  np.testing.assert_allclose(y[0], full[crop[0], crop[1]], atol=1e-6)
  # <g, A x> = <A' g, x> for a linear map.
  g = normal(*y.shape, seed=1)
  (back,) = jax.vjp(lambda v: convolution.blur(v, pad), x)[1](g)
  np.testing.assert_allclose(jnp.vdot(g, y), jnp.vdot(back, x), rtol=1e-4)


def test_upsample_and_downsample_equal_explicit_convolution():
  x = normal(1, 6, 6, 1)
  zeros = np.zeros((12, 12))
  zeros[::2, ::2] = x[0, :, :, 0]
  expected = explicit_filter(zeros, 4 * BLUR)[1:13, 1:13]
  np.testing.assert_allclose(style.upsample(x)[0, :, :, 0], expected, atol=1e-6)
  expected = explicit_filter(np.asarray(x)[0, :, :, 0], BLUR)[2:8, 2:8][::2, ::2]
  np.testing.assert_allclose(style.downsample(x)[0, :, :, 0], expected, atol=1e-6)


def test_convolve_up_equals_scatter_then_blur():
  x, weight = normal(1, 3, 4, 2), normal(3, 3, 2, 3, seed=1)
  scattered = np.zeros((7, 9, 3))
  for i in range(3):
    for j in range(4):
      scattered[2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += np.einsum(
        'c,uvco->uvo', x[0, i, j], weight
      )
  expected = np.stack([explicit_filter(scattered[..., c], 4 * BLUR) for c in range(3)], -1)
  y = convolution.convolve_up(x, weight)
  assert y.shape == (1, 6, 8, 3)
  np.testing.assert_allclose(y[0], expected[2:8, 2:10], atol=1e-5)


def plain_up(x, weight):
  y = jax.lax.conv_transpose(
    x, weight[::-1, ::-1], (2, 2), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )
  return convolution.blur(y, (1, 1)) * 4


def plain_down(x, weight):
  return jax.lax.conv_general_dilated(
    convolution.blur(x, (2, 2)), weight, (2, 2), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )


def plain(x, weight):
  return jax.lax.conv_general_dilated(
    x, weight, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )


@pytest.mark.parametrize(
  ('ours', 'plain'),
  [
    (convolution.convolve, plain),
    (convolution.convolve_up, plain_up),
    (convolution.convolve_down, plain_down),
  ],
)
def test_gradients_of_convolutions_equal_autodiff_to_second_order(ours, plain):
  x, weight = normal(2, 4, 4, 2), normal(3, 3, 2, 3, seed=1)

  def first(f):
    return jax.grad(lambda x, w: jnp.tanh(f(x, w)).sum(), (0, 1))

  def second(f):  # what R1 needs: the gradient of a gradient's norm
    return jax.grad(lambda x, w: sum(jnp.sum(g**2) for g in first(f)(x, w)), (0, 1))

  for order in (first, second):
    for a, b in zip(order(ours)(x, weight), order(plain)(x, weight), strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


def test_equalised_scale():
  x = normal(64, 100)
  layer = style.Linear(50)
  params = layer.init(jax.random.key(0), x)
  weight = params['params']['weight']
  assert abs(float(weight.std()) - 1) < 0.05
  np.testing.assert_allclose(layer.apply(params, x), x @ weight / 10, rtol=1e-4, atol=1e-4)
  image = normal(1, 4, 4, 25)
  conv = style.Conv(8, 1, activation=lambda v: v)
  params = conv.init(jax.random.key(0), image)
  expected = jnp.einsum('bhwi,io->bhwo', image, params['params']['weight'][0, 0]) / 5
  np.testing.assert_allclose(conv.apply(params, image), expected, rtol=1e-4, atol=1e-5)


def test_modulated_convolution_equals_weights_of_its_own_for_each_example():
  x, code = normal(3, 5, 5, 4), normal(3, 6, seed=1)
  layer = style.ModulatedConv(7)
  params = layer.init(jax.random.key(0), x, code)
  own = params['params']
  scale = code @ own['modulation']['weight'] / np.sqrt(6) + own['modulation']['bias'][None]
  for i in range(3):
    weight = own['weight'] / 6 * scale[i][None, None, :, None]
    weight /= jnp.sqrt(jnp.square(weight).sum((0, 1, 2), keepdims=True) + 1e-8)
    expected = convolution.convolve(x[i : i + 1], weight)[0]
    np.testing.assert_allclose(layer.apply(params, x, code)[i], expected, rtol=1e-4, atol=1e-5)


def test_demodulated_output_has_unit_variance_at_any_style():
  x, code = normal(2, 16, 16, 32), 5 * normal(2, 8, seed=1)
  layer = style.ModulatedConv(32)
  out = layer.apply(layer.init(jax.random.key(0), x, code), x, code)[:, 1:-1, 1:-1]
  np.testing.assert_allclose(out.var((1, 2, 3)), 1, atol=0.15)


def test_noise_starts_at_zero_and_is_shared_over_the_batch():
  x = jnp.broadcast_to(normal(1, 4, 4, 8), (2, 4, 4, 8))
  code, key = jnp.ones((2, 4)), jax.random.key(3)
  layer = style.StyledConv(8)
  params = layer.init(jax.random.key(0), x, code)
  np.testing.assert_array_equal(layer.apply(params, x, code, key), layer.apply(params, x, code))
  loud = {'params': {**params['params'], 'noise': jnp.ones(())}}
  noisy = layer.apply(loud, x, code, key)
  assert jnp.abs(noisy - layer.apply(loud, x, code)).max() > 0.1
  # Not bit for bit: where an example lies in the batch may decide how a CPU sums it up.
  np.testing.assert_allclose(noisy[0], noisy[1], atol=1e-5)
