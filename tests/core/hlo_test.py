"""Collectives are read out of real compiled programs, and their bytes are those of the ring."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec as P

from gmtalker_jax.core import hlo, sharding

CASES = {
  'all-reduce': (lambda x: jax.lax.psum(x, 'data'), P(), 2 * 7 / 8 * 16 * 4),
  'all-gather': (lambda x: jax.lax.all_gather(x, 'data', tiled=True), P(), 7 / 8 * 128 * 4),
  'reduce-scatter': (
    lambda x: jax.lax.psum_scatter(x, 'data', tiled=True), P('data'), 7 * 2 * 4,
  ),
  'collective-permute': (
    lambda x: jax.lax.ppermute(x, 'data', [(i, (i + 1) % 8) for i in range(8)]), P('data'), 16 * 4,
  ),
}  # fmt: skip


@pytest.mark.parametrize('kind', CASES)
def test_a_collective_sends_what_its_ring_sends(kind):
  function, out, expected = CASES[kind]
  mapped = jax.shard_map(
    function, mesh=sharding.make_mesh(), in_specs=P('data'), out_specs=out, check_vma=False
  )
  text = jax.jit(mapped).lower(jnp.zeros(128, jnp.float32)).compile().as_text()
  found = hlo.collectives(text, 8)
  assert [c.kind for c in found] == [kind]
  assert found[0].sent == expected


def test_the_forms_that_a_tpu_compiler_writes():
  text = """
  %a = (f32[8,4]{1,0:T(8,128)}, bf16[64]{0}) all-reduce-start(%x, %y), replica_groups=[2,4]<=[8]
  %b = bf16[64]{0} all-gather(%z), replica_groups={{0,1},{2,3}}, dimensions={0}
  %c = (f32[8]{0}, f32[32]{0}) all-gather-start(%w), replica_groups=[1,4]<=[4]
  %d = f32[4] all-reduce(%v), replica_groups={{0},{1}}
  %e = f32[4] all-reduce-done(%a)
%all-reduce-scatter.1 (x: f32[8]) -> f32[2] {
  %f = f32[8] all-reduce(%x), channel_id=1, replica_groups=[1,4]<=[4]
}
%fused_computation.1 (y: f32[2]) -> f32[8] {
  %g = f32[8] all-gather(%y), channel_id=2, replica_groups=[1,4]<=[4], attributes={chain_id="1"}
}
%fused_computation.2 (y: f32[2]) -> f32[8] {
  %h = f32[8] all-gather(%y), channel_id=2, replica_groups=[1,4]<=[4], attributes={chain_id="1"}
}
ENTRY %main (x: f32[8]) -> f32[8] {
  %i = f32[8] all-gather(%y), channel_id=3, replica_groups=[1,4]<=[4], attributes={chain_id="2"}
}
  """
  assert hlo.collectives(text, 8) == [
    hlo.Collective('all-reduce', 8 * 4 * 4 + 64 * 2, 4),
    hlo.Collective('all-gather', 128, 2),
    hlo.Collective('all-gather', 128, 4),
    hlo.Collective('reduce-scatter', 2 * 4, 4),
    hlo.Collective('all-gather', 8 * 4, 4),
    hlo.Collective('all-gather', 8 * 4, 4),
  ]


def test_loops_are_seen():
  looped = lambda x: jax.lax.scan(lambda c, _: (jnp.sin(c), None), x, None, length=9)[0]  # noqa: E731
  text = jax.jit(looped).lower(jnp.zeros(8)).compile().as_text()
  assert hlo.loops(text) == 1
  assert hlo.loops(jax.jit(jnp.sin).lower(jnp.zeros(8)).compile().as_text()) == 0
