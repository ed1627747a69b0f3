"""3x3 convolutions with half the multiplications: F(4, 3) of Winograd's minimal filtering.

Four rows of the output need 4 x 3 products of a row of weights with a row of the input. The same
four are sums of six products of sums (S. Winograd, "Arithmetic complexity of computations", 1980;
A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks", CVPR 2016):

  y = A ((G w) * (B d))     d: 6 rows of the input, w: 3 rows of weights, y: 4 rows of the output

and each product here is a 1x3 convolution along the columns (`convolve`). Both axes at once leave a
quarter of the products, but move 2.25 times the input: that pays where the products are of matrices
with all pixels in their sums, for the gradient of the weight (`overlap`),

  dw = G' ((B d B') * (A' dy A)) G.

In float32 they differ from the plain sums by 2e-6 and 1e-5 of the largest value.
"""

import functools
from collections.abc import Sequence
from fractions import Fraction

import jax
import jax.numpy as jnp

STEP = 4  # of the output that are made together

# Points 0, 1, -1, 2, -2 and infinity.
_INPUT = (  # B
  (4, 0, -5, 0, 1, 0),
  (0, -4, -4, 1, 1, 0),
  (0, 4, -4, -1, 1, 0),
  (0, -2, -1, 2, 1, 0),
  (0, 2, -1, -2, 1, 0),
  (0, 4, 0, -5, 0, 1),
)
_WEIGHT = (  # G
  (Fraction(1, 4), 0, 0),
  (Fraction(-1, 6), Fraction(-1, 6), Fraction(-1, 6)),
  (Fraction(-1, 6), Fraction(1, 6), Fraction(-1, 6)),
  (Fraction(1, 24), Fraction(1, 12), Fraction(1, 6)),
  (Fraction(1, 24), Fraction(-1, 12), Fraction(1, 6)),
  (0, 0, 1),
)
_OUTPUT = (  # A
  (1, 1, 1, 1, 1, 0),
  (0, 1, -1, 2, -2, 0),
  (0, 1, 1, 4, 4, 0),
  (0, 1, -1, 8, -8, 1),
)


def convolve(x: jax.Array, weight: jax.Array) -> jax.Array:
  """Convolution [B, H, W, I] -> [B, H, W, O] with weight [3, 3, I, O] and zeros around."""
  batch, height, width, _ = x.shape
  rows = _sixes(x, 1)
  products = [
    _along_columns(_sum(b, rows), _sum(g, list(weight)))
    for b, g in zip(_INPUT, _WEIGHT, strict=True)
  ]
  y = jnp.stack([_sum(a, products) for a in _OUTPUT], 2)  # [B, H / 4, 4, W, O]
  return y.reshape(batch, -1, width, y.shape[-1])[:, :height]


def overlap(x: jax.Array, y: jax.Array) -> jax.Array:
  """The weight's gradient: x [B, H, W, I], the output's y [B, H, W, O] -> [3, 3, I, O]."""
  inputs, outputs = _sixes(x, 1), _fours(y, 1)
  rows = []
  for b, a in zip(_INPUT, zip(*_OUTPUT, strict=True), strict=True):
    rows.append(_columns_overlap(_sum(b, inputs), _sum(a, outputs)))
  return jnp.stack([_sum(g, rows) for g in zip(*_WEIGHT, strict=True)])


def _columns_overlap(x: jax.Array, y: jax.Array) -> jax.Array:
  """[B, H, W, I] and [B, H, W, O] -> [3, I, O]."""
  inputs, outputs = _sixes(x, 2), _fours(y, 2)
  products = [
    jnp.einsum('bhwi,bhwo->io', _sum(b, inputs), _sum(a, outputs))
    for b, a in zip(_INPUT, zip(*_OUTPUT, strict=True), strict=True)
  ]
  return jnp.stack([_sum(g, products) for g in zip(*_WEIGHT, strict=True)])


def _fours(y: jax.Array, axis: int) -> list[jax.Array]:
  """The first, second, third and fourth of each four along an axis, zeros after the last."""
  groups = -(-y.shape[axis] // STEP)
  return _numbers(_grouped(y, axis, 0, groups), axis)


def _sixes(x: jax.Array, axis: int) -> list[jax.Array]:
  """What four outputs need: the element before them, their own four, and the one after them."""
  groups = -(-x.shape[axis] // STEP)
  numbers = _numbers(_grouped(x, axis, 1, groups + 1), axis)
  own = [jax.lax.slice_in_dim(each, 0, groups, axis=axis) for each in numbers]
  return own + [jax.lax.slice_in_dim(each, 1, None, axis=axis) for each in numbers[:2]]


def _grouped(x: jax.Array, axis: int, before: int, groups: int) -> jax.Array:
  """Fours along an axis after `before` zeros: [..., N, ...] -> [..., groups, 4, ...]."""
  shape, pad = x.shape, [(0, 0)] * x.ndim
  pad[axis] = before, STEP * groups - shape[axis] - before
  return jnp.pad(x, pad).reshape(*shape[:axis], groups, STEP, *shape[axis + 1 :])


def _numbers(x: jax.Array, axis: int) -> list[jax.Array]:
  """[..., groups, 4, ...] -> four of [..., groups, ...]."""
  return [jax.lax.index_in_dim(x, i, axis + 1, keepdims=False) for i in range(STEP)]


def _sum(factors: Sequence[float | Fraction], arrays: Sequence[jax.Array]) -> jax.Array:
  """Σ factor array, without the terms that are zero."""
  terms = [
    array if factor == 1 else array * float(factor)
    for factor, array in zip(factors, arrays, strict=True)
    if factor
  ]
  return functools.reduce(jnp.add, terms)


def _along_columns(x: jax.Array, weight: jax.Array) -> jax.Array:
  """[B, H, W, I] with weight [3, I, O] along W."""
  return jax.lax.conv_general_dilated(
    x, weight[None], (1, 1), ((0, 0), (1, 1)), dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )
