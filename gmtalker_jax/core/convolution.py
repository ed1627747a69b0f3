"""Convolutions whose gradients are convolutions again, at any order, in the form a platform likes.

Pictures are [B, H, W, C], weights [k, k, I, O]. With stride s and padding p, all follows from

  form(large, weight, small) = Σ_{b,i,k,c,o} large[b, s i + k - p, c] weight[k, c, o] small[b, i, o]

where i and k run over both axes, and large is exactly as high and wide as small needs:
s (h - 1) + k - 2 p. The form is linear in each of the three, and its derivative by one of them is
an operation on the other two:

  by small   `strided(large, weight)`    a convolution
  by large   `transposed(small, weight)` the transposed convolution
  by weight  `overlap(large, small)`     the gradient of a weight

So the gradients of each of these are the other two. Left to itself, autodiff writes the same
convolutions with their axes in other orders (`*_by_axes`). An accelerator picks an algorithm for
any order; a CPU is fast in one only. XLA turns the others into it, but at the top level of a
program alone: inside `lax.cond` or `lax.scan` (R1 is due every 16 steps) they are 18 times slower,
and the weight's gradient of a transposed convolution is 70 times slower anywhere. So on a CPU the
arrays are turned here (`*_by_turning`). Three more things are done on a CPU: a transposed
convolution skips the zeros between the pixels (`transposed_by_parts`), strides are products of
matrices (`*_by_taps`), and wide 3x3 convolutions save half of the products or more (winograd.py).
"""

import functools

import jax
import jax.numpy as jnp

from gmtalker_jax.core import winograd

WIDE = 48  # channels in and out from which fewer products outweigh more sums (measured, one core)
OUTER, INNER = 1 / 8, 3 / 8  # the blur filter [1, 3, 3, 1] / 8


def convolve(x: jax.Array, weight: jax.Array) -> jax.Array:
  """Plain convolution [B, H, W, I] -> [B, H, W, O] with an odd kernel."""
  return strided(x, weight, 1, weight.shape[0] // 2)


def convolve_up(x: jax.Array, weight: jax.Array) -> jax.Array:
  """Doubles the resolution: transposed 3x3 convolution of stride 2, then four times the blur."""
  return blur(transposed(x, weight.swapaxes(2, 3), 2, 0), (1, 1)) * 4


def convolve_down(x: jax.Array, weight: jax.Array) -> jax.Array:
  """Halves the resolution: blur, then 3x3 convolution of stride 2."""
  return strided(blur(x, (2, 2)), weight, 2, 0)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def blur(x: jax.Array, pad: tuple[int, int]) -> jax.Array:
  """Filters with [1, 3, 3, 1] x [1, 3, 3, 1] / 64 after padding both axes with zeros by `pad`.

  The filter is symmetric, so its gradient is the same filter with other padding. Autodiff would
  add up padded slices instead, at several times the cost.
  """
  x = jnp.pad(x, ((0, 0), pad, pad, (0, 0)))  # both at once: a pad in between is slow on a CPU
  for axis in (1, 2):
    size = x.shape[axis] - 3
    taps = [jax.lax.slice_in_dim(x, i, i + size, axis=axis) for i in range(4)]
    x = (taps[0] + taps[3]) * OUTER + (taps[1] + taps[2]) * INNER
  return x


def _blur_forward(x, pad):
  return blur(x, pad), None


def _blur_backward(pad, _, gradient):
  return (blur(gradient, (3 - pad[0], 3 - pad[1])),)


blur.defvjp(_blur_forward, _blur_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def strided(large: jax.Array, weight: jax.Array, stride: int, pad: int) -> jax.Array:
  """small[i, o] = Σ_{k,c} large[s i + k - p, c] weight[k, c, o]."""
  return _by_platform(_strided_on_cpu, _convolve_strided, large, weight, stride, pad)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def transposed(small: jax.Array, weight: jax.Array, stride: int, pad: int) -> jax.Array:
  """large[s i + k - p, c] += Σ_o weight[k, c, o] small[i, o], for every i and k."""
  return _by_platform(_transposed_on_cpu, transposed_by_axes, small, weight, stride, pad)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def overlap(large: jax.Array, small: jax.Array, stride: int, pad: int) -> jax.Array:
  """weight[k, c, o] = Σ_{b,i} large[b, s i + k - p, c] small[b, i, o]."""
  return _by_platform(_overlap_on_cpu, overlap_by_axes, large, small, stride, pad)


def _strided_forward(large, weight, stride, pad):
  return strided(large, weight, stride, pad), (large, weight)


def _strided_backward(stride, pad, saved, small):
  large, weight = saved
  return transposed(small, weight, stride, pad), overlap(large, small, stride, pad)


def _transposed_forward(small, weight, stride, pad):
  return transposed(small, weight, stride, pad), (small, weight)


def _transposed_backward(stride, pad, saved, large):
  small, weight = saved
  return strided(large, weight, stride, pad), overlap(large, small, stride, pad)


def _overlap_forward(large, small, stride, pad):
  return overlap(large, small, stride, pad), (large, small)


def _overlap_backward(stride, pad, saved, weight):
  large, small = saved
  return transposed(small, weight, stride, pad), strided(large, weight, stride, pad)


strided.defvjp(_strided_forward, _strided_backward)
transposed.defvjp(_transposed_forward, _transposed_backward)
overlap.defvjp(_overlap_forward, _overlap_backward)


def _by_platform(on_cpu, elsewhere, x, y, stride, pad):
  forms = [functools.partial(form, stride=stride, pad=pad) for form in (on_cpu, elsewhere)]
  return jax.lax.platform_dependent(x, y, cpu=forms[0], default=forms[1])


def _convolve_strided(large, weight, stride, pad):
  return _convolution(large, weight, pad, stride=stride)


def _strided_on_cpu(large, weight, stride, pad):
  if stride == 1 and pad == 1 and _gains_by_winograd(weight):
    return winograd.convolve(large, weight)
  if stride > 1:
    return strided_by_taps(large, weight, stride, pad)
  return _convolve_strided(large, weight, stride, pad)


def _transposed_on_cpu(small, weight, stride, pad):
  if stride == 1:  # a convolution like any other
    turned = weight.swapaxes(2, 3)[::-1, ::-1]
    return _strided_on_cpu(small, turned, 1, len(weight) - 1 - pad)
  return transposed_by_parts(small, weight, stride, pad)


def _gains_by_winograd(weight: jax.Array) -> bool:
  return weight.shape[0] == 3 and min(weight.shape[2:]) >= WIDE and _single(weight)


def _overlap_on_cpu(large, small, stride, pad):
  kernel = large.shape[1] - stride * (small.shape[1] - 1) + 2 * pad
  if (kernel, stride, pad) == (3, 1, 1) and _gains_by_fewer_products(large, small):
    return winograd.overlap(large, small)
  if stride > 1 or kernel == 1:
    return overlap_by_taps(large, small, stride, pad)
  return overlap_by_turning(large, small, stride, pad)


def _gains_by_fewer_products(large: jax.Array, small: jax.Array) -> bool:
  channels, pixels = (large.shape[-1], small.shape[-1]), small.size // small.shape[-1]
  # Of few pixels a sum is done sooner than the weight's 36 products are turned into 9 (measured).
  return _single(large) and min(channels) >= WIDE and pixels >= 4 * max(channels)


def _single(x: jax.Array) -> bool:
  return x.dtype == jnp.float32


def strided_by_taps(large, weight, stride, pad):
  """`strided` as one product of matrices: a convolution with steps is slow on a CPU."""
  high, wide = ((size + 2 * pad - len(weight)) // stride + 1 for size in large.shape[1:3])
  seen = jnp.concatenate(_taps(large, len(weight), high, wide, stride, pad), -1)
  return seen @ weight.reshape(-1, weight.shape[-1])


def overlap_by_taps(large, small, stride, pad):
  """`overlap` as a product of matrices for each element of the kernel."""
  _, high, wide, _ = small.shape
  kernel = large.shape[1] - stride * (high - 1) + 2 * pad
  met = _taps(large, kernel, high, wide, stride, pad)
  weight = jnp.stack([jnp.einsum('bhwc,bhwo->co', tap, small) for tap in met])
  return weight.reshape(kernel, kernel, *weight.shape[1:])


def _taps(large, kernel, high, wide, stride, pad):
  """What each element of the kernel meets, row by row: arrays [B, high, wide, C]."""
  x = jnp.pad(large, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
  places = [(i, j) for i in range(kernel) for j in range(kernel)]
  bottom, right = stride * (high - 1) + 1, stride * (wide - 1) + 1
  return [x[:, i : i + bottom : stride, j : j + right : stride] for i, j in places]


def transposed_by_parts(small, weight, stride, pad):
  """`transposed` without the zeros between the pixels; the kernel is not smaller than the stride.

  Rows and columns of `large` with the same remainder by `stride` meet the same weights: each such
  part is a plain convolution.
  """
  kernel, turned = len(weight), weight.swapaxes(2, 3)
  batch, high, wide, _ = small.shape
  more = -(-kernel // stride) - 1  # rows of a part beyond those of `small`
  rows = []
  for i in range(stride):
    parts = []
    for j in range(stride):
      part = turned[i::stride, j::stride][::-1, ::-1]
      y = _convolution(small, part, [(size - 1, more) for size in part.shape[:2]])
      parts.append(y[:, : high + more, : wide + more])
    rows.append(jnp.stack(parts, 3))
  shape = (batch, stride * (high + more), stride * (wide + more), weight.shape[2])
  large = jnp.stack(rows, 2).reshape(shape)
  bottom, right = (stride * (size - 1) + kernel - pad for size in (high, wide))
  return large[:, pad:bottom, pad:right]


def transposed_by_axes(small, weight, stride, pad):
  """`transposed` as autodiff writes it."""
  pad, axes = weight.shape[0] - 1 - pad, ('NHWC', 'HWOI', 'NHWC')
  return _convolution(small, weight[::-1, ::-1], pad, small_step=stride, axes=axes)


def overlap_by_turning(large, small, stride, pad):
  """`overlap` in the memory order of `strided`."""
  batch_last = large.transpose(3, 1, 2, 0), small.transpose(1, 2, 0, 3)
  return _convolution(*batch_last, pad, weight_step=stride).transpose(1, 2, 0, 3)


def overlap_by_axes(large, small, stride, pad):
  """`overlap` as autodiff writes it: the batch is what is summed over."""
  return _convolution(large, small, pad, weight_step=stride, axes=('CHWN', 'IHWO', 'HWNC'))


def _convolution(
  x, weight, pad, stride=1, small_step=1, weight_step=1, axes=('NHWC', 'HWIO', 'NHWC')
):
  return jax.lax.conv_general_dilated(
    x,
    weight,
    (stride, stride),
    ((pad, pad), (pad, pad)) if isinstance(pad, int) else pad,
    lhs_dilation=(small_step, small_step),
    rhs_dilation=(weight_step, weight_step),
    dimension_numbers=axes,
  )
