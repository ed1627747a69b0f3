"""Flops as written: by hand for each form, and as XLA counts them where it can."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec as P

from gmtalker_jax.core import flops, products, sharding

X, W = jnp.ones((8, 32)), jnp.ones((32, 16))
PRODUCT = 2 * 8 * 32 * 16
IMAGES, KERNEL = jnp.ones((2, 16, 16, 3)), jnp.ones((3, 3, 3, 5))
DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')


def convolve(images, kernel, stride=1, **options):
  return jax.lax.conv_general_dilated(
    images, kernel, (stride, stride), 'SAME', dimension_numbers=DIMENSIONS, **options
  )


def counted(function, *arguments):
  return flops.count(jax.make_jaxpr(function)(*arguments))


@pytest.mark.parametrize(
  ('function', 'expected'),
  [
    (lambda: X @ W, PRODUCT),
    (lambda: jnp.einsum('bij,bkj->bik', jnp.ones((5, 2, 7)), jnp.ones((5, 3, 7))), 420),
    (lambda: convolve(IMAGES, KERNEL), 2 * (2 * 16 * 16 * 5) * 27),
    (lambda: convolve(IMAGES, KERNEL, 2), 2 * (2 * 8 * 8 * 5) * 27),
    (lambda: convolve(IMAGES, KERNEL[:, :, :1, :3], feature_group_count=3), 2 * 512 * 3 * 9),
    (lambda: jax.lax.scan(lambda c, _: (c, X @ W), 0, None, length=10), 10 * PRODUCT),
    (lambda: jax.lax.cond(X[0, 0] > 0, lambda: X @ W @ W.T, lambda: X + 0), 2 * PRODUCT),
    (lambda: jax.jit(jax.checkpoint(lambda w: X @ w))(W), PRODUCT),
    (lambda: jnp.tanh(X).sum(), 0),
  ],
)  # fmt: skip
def test_each_form_is_counted(function, expected):
  assert counted(function) == expected


def test_the_zeros_of_a_transposed_convolution_are_skipped():
  up = lambda x: jax.lax.conv_transpose(x, KERNEL, (2, 2), 'SAME', dimension_numbers=DIMENSIONS)  # noqa: E731
  assert counted(up, IMAGES) == 2 * (2 * 32 * 32 * 5) * 27 / 4


def test_a_gradient_costs_two_more_convolutions():
  loss = lambda images, kernel: (convolve(images, kernel) ** 2).sum()  # noqa: E731
  forward = counted(loss, IMAGES, KERNEL)
  assert counted(jax.grad(loss, argnums=(0, 1)), IMAGES, KERNEL) == 3 * forward


def test_a_gradient_that_nobody_reads_is_not_counted():
  both = jax.grad(lambda w, x: (products.product(x, w) ** 2).sum(), argnums=(0, 1))
  assert counted(lambda w, x: both(w, x)[0], W, X) == 2 * PRODUCT
  assert counted(both, W, X) == 3 * PRODUCT


def test_a_mapped_program_counts_on_every_device():
  mapped = jax.shard_map(
    lambda x: x @ W, mesh=sharding.make_mesh(), in_specs=P('data'), out_specs=P('data')
  )
  assert counted(mapped, X) == PRODUCT


def test_xla_counts_the_same():
  def network(x, w):
    return jnp.einsum('bi,io,jo->bj', x, w, w)

  found = jax.jit(network).lower(X, W).cost_analysis()['flops']
  assert counted(network, X, W) == pytest.approx(found, rel=0.01)
