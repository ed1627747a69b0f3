import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec as P

from gmtalker_jax.core import sharding
from gmtalker_jax.core.errors import InputError


def spec(shape, mesh='1xall', copied=()):
  like = {'a': {'w': jax.ShapeDtypeStruct(shape, jnp.float32)}}
  return sharding.of_state(like, sharding.make_mesh(shape=mesh), copied)['a']['w'].spec


@pytest.mark.parametrize(
  ('shape', 'expected'),
  [
    ((256, 512), P(None, 'fsdp')),  # the largest axis
    ((1024, 512), P('fsdp', None)),
    ((3, 3, 64, 1001), P(None, None, 'fsdp', None)),  # the largest that divides by 8
    ((1001, 333), P()),  # none divides
    ((8,), P()),  # too small
    ((), P()),
  ],
)
def test_fsdp_cuts_the_largest_axis_that_divides(shape, expected):
  assert spec(shape) == expected


def test_rules_go_by_path_and_a_wrong_one_is_refused():
  assert spec((256, 512), 'all') == P()  # a mesh that shares nothing
  assert spec((256, 512), '4x2', ['a']) == P()
  assert spec((256, 512), '4x2', ['a.w']) == P()
  assert spec((256, 512), '4x2') == P(None, 'fsdp')
  for name in ('a.b', 'aw', '.w', 'W'):
    with pytest.raises(InputError, match='which is in no path'):
      spec((256, 512), '4x2', [name])


@pytest.mark.parametrize(
  ('shape', 'sides'),
  [('all', (8, 1)), ('8', (8, 1)), ('4x2', (4, 2)), ('1xall', (1, 8)), ('allx4', (2, 4)),
   ('allxall', (8, 1)), ('3', None), ('4x4', None), ('3xall', None), ('16', None)],
)  # fmt: skip
def test_a_mesh_is_all_devices(shape, sides):
  if sides is None:
    with pytest.raises(InputError, match=f'got mesh {shape} for 8 devices'):
      sharding.make_mesh(shape=shape)
    return
  mesh = sharding.make_mesh(shape=shape)
  assert mesh.devices.shape == sides
  assert [d.id for d in mesh.devices.flat] == list(range(8))  # a process has neighbours


def test_the_batch_lies_over_the_devices_and_the_state_on_each():
  mesh = sharding.make_mesh(shape='4x2')
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
