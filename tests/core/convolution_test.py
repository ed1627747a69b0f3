"""Both forms of the convolutions equal sums written out and autodiff, to second order, anywhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from gmtalker_jax.core import convolution

CASES = [(1, 1, 3), (2, 0, 3), (1, 0, 1), (2, 1, 4)]  # stride, padding, kernel
FORMS = {
  'strided': (convolution.strided, convolution.strided_by_taps),
  'transposed': (convolution.transposed_by_parts, convolution.transposed_by_axes),
  'overlap': (
    convolution.overlap_by_turning,
    convolution.overlap_by_axes,
    convolution.overlap_by_taps,
  ),
}


def normal(*shape: int, seed: int = 0) -> jax.Array:
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def arrays(stride, pad, kernel):
  """large, weight and small of the trilinear form; two examples of 3 x 4 small pixels."""
  high, wide = (stride * (n - 1) + kernel - 2 * pad for n in (3, 4))
  sizes = (2, high, wide, 2), (kernel, kernel, 2, 3), (2, 3, 4, 3)
  return [normal(*size, seed=i) for i, size in enumerate(sizes)]


def written_out(large, weight, small, stride, pad):
  """Gradients of the form by each of its three arrays, summed term by term."""
  large, weight, small = (np.asarray(a, np.float64) for a in (large, weight, small))
  wide = np.pad(large, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
  by_large, by_weight, by_small = (np.zeros(a.shape) for a in (wide, weight, small))
  for i, j in np.ndindex(small.shape[1:3]):
    at = (slice(None), *(slice(stride * n, stride * n + len(weight)) for n in (i, j)))
    by_large[at] += np.einsum('uvco,bo->buvc', weight, small[:, i, j])
    by_weight += np.einsum('buvc,bo->uvco', wide[at], small[:, i, j])
    by_small[:, i, j] = np.einsum('buvc,uvco->bo', wide[at], weight)
  inner = slice(pad, by_large.shape[1] - pad), slice(pad, by_large.shape[2] - pad)
  return by_large[:, inner[0], inner[1]], by_weight, by_small


@pytest.mark.parametrize('case', CASES)
def test_every_form_is_its_sum(case):
  large, weight, small = arrays(*case)
  at = case[:2]
  by_large, by_weight, by_small = written_out(large, weight, small, *at)
  close = {'rtol': 1e-4, 'atol': 1e-4}
  for form in FORMS['strided']:
    np.testing.assert_allclose(form(large, weight, *at), by_small, **close)
  for form in (convolution.transposed, *FORMS['transposed']):
    np.testing.assert_allclose(form(small, weight, *at), by_large, **close)
  for form in (convolution.overlap, *FORMS['overlap']):
    np.testing.assert_allclose(form(large, small, *at), by_weight, **close)


@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('cpu', [True, False])
def test_gradients_equal_autodiff_to_second_order(case, cpu, monkeypatch):
  """The rules, with the CPU's forms and with the other ones, against a plain convolution."""
  used = set()

  def choose(on_cpu, elsewhere, *args):
    form = on_cpu if cpu else elsewhere
    used.add(form.__name__)
    return form(*args)

  monkeypatch.setattr(convolution, '_by_platform', choose)
  monkeypatch.setattr(convolution, 'WIDE', 1)
  large, weight, small = arrays(*case)
  stride, pad, _ = case

  def plain(large, weight):
    return jax.lax.conv_general_dilated(
      large, weight, (stride,) * 2, ((pad, pad),) * 2, dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )

  def strided(large, weight):
    return convolution.strided(large, weight, stride, pad)

  def first(f):
    return jax.grad(lambda x, w: (small * jnp.tanh(f(x, w))).sum(), (0, 1))

  def second(f):  # what R1 needs: the gradient of a gradient's norm, inside a condition
    def norm(x, w):
      return sum(jnp.square(g).sum() for g in first(f)(x, w))

    return lambda x, w: jax.lax.cond(x.sum() < 99, jax.grad(norm, (0, 1)), lambda *a: a, x, w)

  for order in (first, second):
    expected = jax.jit(order(plain))(large, weight)
    for a, b in zip(jax.jit(order(strided))(large, weight), expected, strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
  if cpu:
    assert used == {'_strided_on_cpu', '_transposed_on_cpu', '_overlap_on_cpu'}
  else:
    assert used == {'_convolve_strided', 'transposed_by_axes', 'overlap_by_axes'}


@pytest.mark.parametrize('form', ['strided', 'transposed', 'overlap'])
def test_each_gradient_is_the_slope(form):
  """A form is linear in each array, so a difference of any size is the slope but for rounding."""
  large, weight, small = arrays(2, 0, 3)
  pair = {'strided': (large, weight), 'transposed': (small, weight), 'overlap': (large, small)}[
    form
  ]

  def value(x, y):
    out = getattr(convolution, form)(x, y, 2, 0)
    return (out * normal(*out.shape, seed=9)).sum()

  grads = jax.grad(value, (0, 1))(*pair)
  for i, (grad, way) in enumerate(
    zip(grads, (normal(*a.shape, seed=7) for a in pair), strict=True)
  ):
    ends = [value(*(a + s * way if i == j else a for j, a in enumerate(pair))) for s in (1, -1)]
    np.testing.assert_allclose((grad * way).sum(), (ends[0] - ends[1]) / 2, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(('kernel', 'pad'), [(2, 0), (3, 0), (3, 1), (5, 2)])
def test_upsampling_without_zeros_is_upsampling(kernel, pad):
  small, weight = normal(2, 5, 6, 3), normal(kernel, kernel, 4, 3)

  def zeros(small, weight):
    return convolution.transposed_by_axes(small, weight, 2, pad)

  def parts(small, weight):
    return convolution.transposed_by_parts(small, weight, 2, pad)

  expected, pull = jax.vjp(zeros, small, weight)
  found, pull_parts = jax.vjp(parts, small, weight)
  np.testing.assert_allclose(found, expected, atol=1e-5)
  way = normal(*expected.shape, seed=3)
  for a, b in zip(pull_parts(way), pull(way), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=3e-5)  # of sums of 60 products


def test_a_cpu_turns_arrays_and_an_accelerator_names_axes():
  def program(platform, stride, pad):
    large, _, small = arrays(stride, pad, 3)
    traced = jax.jit(lambda x, y: convolution.overlap(x, y, stride, pad)).trace(large, small)
    return traced.lower(lowering_platforms=(platform,)).as_text()

  assert 'stablehlo.transpose' in program('cpu', 1, 1)
  assert program('cpu', 2, 0).count('stablehlo.dot_general') == 9
  assert 'stablehlo.convolution' not in program('cpu', 2, 0)
  for at in ((1, 1), (2, 0)):
    assert 'stablehlo.transpose' not in program('cuda', *at)
    assert program('cuda', *at).count('stablehlo.convolution') == 1


def test_gradients_inside_shard_map_are_those_of_each_part():
  large, weight, _ = arrays(2, 0, 3)
  mesh = Mesh(np.array(jax.devices()[:2]), ('data',))

  def slope(large, weight):
    return jax.grad(lambda w: jnp.square(convolution.strided(large, w, 2, 0)).sum())(weight)

  def part(large, weight):
    return jax.lax.psum(slope(large, weight), 'data')

  specs = PartitionSpec('data'), PartitionSpec()
  mapped = jax.shard_map(  # as the training loop does
    part, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(), check_vma=False
  )
  whole = jax.jit(slope)(large, weight)
  np.testing.assert_allclose(jax.jit(mapped)(large, weight), whole, rtol=1e-4, atol=1e-4)
