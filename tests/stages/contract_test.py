"""What every stage must keep to; the same tests for each."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmtalker_jax.core import rng, sharding
from gmtalker_jax.core.means import Mean, finalize, merge
from gmtalker_jax.stages import STAGES
from gmtalker_jax.train import run, settings
from gmtalker_jax.types import ExpressionBatch, MotionBatch, PortraitBatch

B, T, D = 8, 8, 5
SIZES = {
  'expression': {'expression_dim': 6, 'speech_dim': D, 'subjects': 2, 'decoder_mode': 'parallel'},
  'motion': {'speech_dim': D, 'decoder_mode': 'parallel'},
  'portrait': {'latent_dim': 4},
}


def normal(generator, *shape):
  return generator.normal(size=shape).astype(np.float32)


def make_batch(name, seed=0, size=B):
  g = np.random.default_rng(seed)
  emotion = np.eye(8, dtype=np.float32)[g.integers(0, 8, size)]
  mask = np.ones((size, T), np.float32)
  if name == 'expression':
    subject = np.arange(size, dtype=np.int32) % 2
    return ExpressionBatch(normal(g, size, T, 6), normal(g, size, 2 * T, D), emotion, subject, mask)
  if name == 'motion':
    return MotionBatch(normal(g, size, T, 12), normal(g, size, 2 * T, D), mask)
  pictures = [np.tanh(normal(g, size, 64, 64, 3)) for _ in range(2)]
  return PortraitBatch(*pictures, emotion, normal(g, size, 4), np.ones(size, np.float32))


class Rig:
  """A stage of the smoke config, compiled once for eight devices."""

  def __init__(self, name):
    config = run._plain(importlib.import_module(f'configs.{name}').get_config('smoke'))
    read = settings.read(config)
    self.name, self.batch = name, make_batch(name)
    self.stage = run.make_stage(read, {**read.model, **SIZES[name]})
    self.mesh = sharding.make_mesh()
    self.whole, self.cut = sharding.replicated(self.mesh), sharding.over_data(self.mesh)
    self.spec = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), self.batch)
    key = jax.eval_shape(lambda: jax.random.key(0))
    self.init = jax.jit(self.stage.init, out_shardings=self.whole)
    self.state = self.init(jax.random.key(0), self.batch)
    like = jax.eval_shape(self.stage.init, key, self.spec)
    # Compiled ahead of time, from shapes alone.
    self.step = (
      jax.jit(self.stage.step, in_shardings=(self.whole, self.cut, None), out_shardings=self.whole)
      .lower(like, self.spec, key)
      .compile()
    )
    self.evaluate = jax.jit(self.stage.evaluate)

  def run(self, steps, state=None, seed=0):
    state = self.state if state is None else state
    for _ in range(steps):
      batch = jax.device_put(make_batch(self.name, int(state.step)), self.cut)
      key = jax.device_put(rng.key_for(seed, 'step', int(state.step)), self.whole)
      state, metrics = self.step(state, batch, key)
    return state, metrics


@pytest.fixture(scope='module', params=STAGES)
def rig(request):
  return Rig(request.param)


def equal(a, b):
  return jax.tree.all(jax.tree.map(lambda x, y: bool((x == y).all()), a, b))


def test_one_step_changes_every_served_network_and_its_average(rig):
  state, _ = rig.run(1)
  assert rig.stage.name == rig.name
  assert rig.stage.serves
  for name in rig.stage.serves:
    assert not equal(rig.state.params[name], state.params[name])
    assert not equal(rig.state.ema[name], state.ema[name])
  assert int(state.step) == 1


def test_metrics_are_finite_means_with_the_phase_in_front(rig):
  _, metrics = rig.run(1)
  assert metrics
  for name, value in metrics.items():
    phase, _, rest = name.partition('/')
    assert phase
    assert rest
    assert isinstance(value, Mean)
    assert np.isfinite(value.total), name
  assert any(name.endswith('/loss') for name in metrics)


def test_a_restart_changes_no_bit(rig):
  straight, _ = rig.run(5)
  half, _ = rig.run(2)
  through_the_host = jax.device_put(jax.device_get(half), rig.whole)
  again, _ = rig.run(3, through_the_host)
  assert equal(straight, again)


def test_the_seed_decides(rig):
  first, _ = rig.run(2, seed=0)
  same, _ = rig.run(2, seed=0)
  other, _ = rig.run(2, seed=1)
  assert equal(first.params, same.params)
  assert not equal(first.params, other.params)
  assert not equal(rig.state.params, rig.init(jax.random.key(1), rig.batch).params)


def moments(state):
  leaves = jax.tree_util.tree_leaves_with_path(state.opt_state)
  return [x for path, x in leaves if '.mu' in jax.tree_util.keystr(path)]


def test_one_device_is_eight_devices(rig):
  eight, metrics = rig.run(1)
  batch, key = make_batch(rig.name, 0), rng.key_for(0, 'step', 0)
  one, expected = jax.jit(rig.stage.step)(jax.device_get(rig.state), batch, key)
  found = finalize(jax.device_get(metrics))
  for name, value in finalize(jax.device_get(expected)).items():
    assert found[name] == pytest.approx(value, rel=2e-3, abs=1e-5), name
  # Adam turns rounding in a vanishing gradient into a whole step; its first moment does not.
  assert moments(one)
  for a, b in zip(moments(eight), moments(one), strict=True):
    scale = float(jnp.abs(b).max()) + 1e-6
    np.testing.assert_allclose(a, b, atol=2e-3 * scale)


def test_padding_does_not_move_evaluate(rig):
  # Metrics of padding alone count nothing, so merging them moves nothing.
  masked = rig.batch.replace(mask=np.zeros_like(rig.batch.mask))
  full = rig.evaluate(rig.state.ema, rig.batch, jax.random.key(3))
  empty = rig.evaluate(rig.state.ema, masked, jax.random.key(3))
  for name, value in finalize(merge(full, empty)).items():
    assert np.isfinite(value), name
    assert value == pytest.approx(finalize(full)[name], rel=1e-5), name
