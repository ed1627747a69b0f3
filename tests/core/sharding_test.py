import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec as P

from gmtalker_jax.core import sharding


def spec(shape):
  like = jax.ShapeDtypeStruct(shape, jnp.float32)
  return sharding.fsdp(like, sharding.make_mesh()).spec


@pytest.mark.parametrize(
  ('shape', 'expected'),
  [
    ((256, 512), P(None, 'data')),  # the largest axis
    ((1024, 512), P('data', None)),
    ((3, 3, 64, 1001), P(None, None, 'data', None)),  # the largest that divides by 8
    ((1001, 333), P()),  # none divides
    ((8,), P()),  # too small
    ((), P()),
  ],
)
def test_fsdp_cuts_the_largest_axis_that_divides(shape, expected):
  assert spec(shape) == expected


def test_the_batch_lies_over_the_devices_and_the_state_on_each():
  mesh = sharding.make_mesh()
  batch = sharding.place_batch({'x': np.zeros((16, 3), np.float32)}, mesh)
  assert {s.data.shape for s in batch['x'].addressable_shards} == {(2, 3)}
  state = jax.device_put(np.zeros((16, 3)), sharding.replicated(mesh))
  assert {s.data.shape for s in state.addressable_shards} == {(16, 3)}


def test_averaged_gradients_are_those_of_the_whole_batch():
  mesh = sharding.make_mesh()
  tx = optax.chain(sharding.average_gradients(sharding.AXIS), optax.sgd(1.0))
  x = jnp.arange(16.0)

  def update(w, x):
    grads = jax.grad(lambda w: ((w * x) ** 2).mean())(w)
    return tx.update(grads, tx.init(w), w)[0]

  mapped = jax.shard_map(
    update, mesh=mesh, in_specs=(P(), P('data')), out_specs=P(), check_vma=False
  )
  expected = -jax.grad(lambda w: ((w * x) ** 2).mean())(2.0)
  np.testing.assert_allclose(mapped(jnp.float32(2.0), x), expected, rtol=1e-6)
