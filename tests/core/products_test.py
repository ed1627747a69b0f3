"""Rows times a matrix: its values and gradients are those of a plain product, at any order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.test_util import check_grads

from gmtalker_jax.core import products

SHAPES = [((7, 5), (5, 3)), ((2, 6, 5), (5, 4)), ((2, 3, 4, 5), (5, 1))]


def arrays(shapes, dtype=np.float32):
  numbers = np.random.default_rng(0)
  return [jnp.asarray(numbers.normal(size=shape), dtype) for shape in shapes]


@pytest.mark.parametrize('shapes', SHAPES)
def test_values_and_gradients_are_those_of_a_plain_product(shapes):
  rows, matrix = arrays(shapes)

  def loss(of):
    return lambda x, w: jnp.square(of(x, w)).sum()

  ours = jax.value_and_grad(loss(products.product), (0, 1))(rows, matrix)
  plain = jax.value_and_grad(loss(jnp.matmul), (0, 1))(rows, matrix)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5), ours, plain)


def test_gradients_of_two_orders_against_finite_differences():
  with jax.enable_x64(True):
    rows, matrix = arrays(SHAPES[1], np.float64)
    check_grads(lambda x, w: jnp.tanh(products.product(x, w)), (rows, matrix), 2, ['rev'])


def test_a_layer_computes_in_its_dtype_and_learns_in_the_dtype_of_its_weights():
  (rows,) = arrays([(4, 6)])
  layer = nn.Dense(3, dtype=jnp.bfloat16, dot_general=products.dot_general)
  variables = layer.init(jax.random.key(0), rows)
  assert layer.apply(variables, rows).dtype == jnp.bfloat16
  gradient = jax.grad(lambda v: layer.apply(v, rows).astype(jnp.float32).sum())(variables)
  assert {g.dtype for g in jax.tree.leaves(gradient)} == {jnp.dtype('float32')}


def test_other_products_are_refused():
  rows, matrix = arrays([(4, 6), (3, 6)])
  with pytest.raises(ValueError, match='expected'):
    products.dot_general(rows, matrix, (((1,), (1,)), ((), ())))


def test_no_array_is_turned_for_an_accelerator():
  """On a CPU the rows are an array of their own before the product; elsewhere XLA chooses."""
  rows, matrix = arrays(SHAPES[0])
  gradient = jax.jit(jax.grad(lambda w: products.product(rows, w).sum()))
  for platform, turned in (('cpu', 1), ('tpu', 0), ('cuda', 0)):
    text = gradient.trace(matrix).lower(lowering_platforms=(platform,)).as_text()
    assert text.count('optimization_barrier') == turned, platform
