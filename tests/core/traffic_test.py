"""What a program moves: by hand, as XLA counts it, in the forms that a TPU's compiler writes."""

import jax
import jax.numpy as jnp
import pytest

from gmtalker_jax.core import traffic

X = jnp.ones((256, 256))
ARRAY = 256 * 256 * 4


def compiled(function, *arguments):
  return jax.jit(function).lower(*arguments).compile()


def test_a_product_reads_two_arrays_and_writes_one():
  found = traffic.moves(compiled(lambda x, y: x @ y, X, X + 1).as_text())
  assert sum(move.size for move in found) == 3 * ARRAY
  assert [move.product for move in found if move.size] == [True]


def test_what_is_fused_does_not_move():
  found = traffic.moves(compiled(lambda x: jnp.tanh(jnp.sin(x) + 1) * x, X).as_text())
  assert sum(move.size for move in found) == 2 * ARRAY  # read once, written once
  assert not any(move.product for move in found)


def test_it_is_the_compilers_count_where_all_memory_is_one():
  loss = lambda w, x: (jnp.tanh(x @ w) @ w.T).sum()  # noqa: E731
  program = compiled(jax.grad(loss), X, X)
  counted = sum(move.size for move in traffic.moves(program.as_text()))
  assert counted == pytest.approx(program.cost_analysis()['bytes accessed'], rel=0.05)


def test_a_loop_counts_once_and_of_branches_the_dearest():
  looped = lambda x: jax.lax.fori_loop(0, 9, lambda _, c: jnp.sin(c) @ c, x)  # noqa: E731
  once = sum(move.product for move in traffic.moves(compiled(looped, X).as_text()))
  assert once == 1

  def either(x):
    return jax.lax.cond(x[0, 0] > 0, lambda: x @ x @ x, lambda: x + 1)

  assert sum(move.product for move in traffic.moves(compiled(either, X).as_text())) == 2


def test_a_tpus_memory_on_the_chip_is_not_memory():
  text = """
%fused_computation.1 (p: f32[8,4]) -> f32[8,4] {
  %p = f32[8,4]{1,0} parameter(0)
  ROOT %c = f32[8,4]{1,0} convolution(%p, %p), dim_labels=bf_io->bf
}
%yes.1 (a: f32[8,4]) -> f32[8,4] {
  %a = f32[8,4]{1,0} parameter(0)
  ROOT %n = f32[8,4]{1,0} negate(%a), metadata={op_name="jit(step)/neg"}
}
%no.2 (b: f32[8,4]) -> f32[8,4] {
  ROOT %b = f32[8,4]{1,0} parameter(0)
}
ENTRY %main (x: f32[8,4], w: f32[64,4]) -> f32[8,4] {
  %x = f32[8,4]{1,0:T(8,128)} parameter(0)
  %w = f32[64,4]{1,0:T(8,128)} parameter(1)
  %s = ((f32[64,4]{1,0}), f32[16,4]{1,0:T(8,128)S(1)}, s32[]{:S(2)}) slice-start(%w), slice={[0:16]}
  %d = f32[16,4]{1,0:T(8,128)S(1)} slice-done(%s)
  %f = f32[8,4]{1,0:T(8,128)S(1)} fusion(%x, %d), kind=kOutput, calls=%fused_computation.1
  %o = f32[8,4]{1,0} conditional(%t, %x, %x), branch_computations={%no.2, %yes.1}
}
"""
  found = traffic.moves(text)
  assert found == [
    traffic.Move('slice-start', '', 16 * 4 * 4, False),
    traffic.Move('fusion', '', 8 * 4 * 4, True),
    traffic.Move('negate', 'jit(step)/neg', 2 * 8 * 4 * 4, False),
  ]
  assert traffic.by_part(found) == {'products': 128, 'prefetches': 256, 'layouts': 0, 'rest': 256}
  assert traffic.by_operation(found)[:2] == [
    ('(made by the compiler): slice-start', 256), ('jit(step)/neg: negate', 256),
  ]  # fmt: skip
