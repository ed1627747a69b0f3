"""The network that judges lip-sync: what it sees, what it learns, and who listens to it when."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import expression as config
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.models import lip_sync
from gmtalker_jax.models.lip_sync import LipSync
from gmtalker_jax.stages import expression as stage_module
from gmtalker_jax.types import ExpressionBatch

B, T, E, D = 4, 24, 3, 2
MODEL = {
  'speech_dim': D, 'expression_dim': E, 'width': 8, 'latent_dim': 8, 'w_dim': 4, 'heads': 2,
  'encoder_layers': 1, 'decoder_layers': 1, 'period': 4, 'dropout': 0.0, 'emotions': 8,
  'decoder_mode': 'parallel', 'sync': {'width': 16},
}  # fmt: skip


def batch(seed=0, size=B, mask=None):
  """Clips whose lips move as their sound does."""
  numbers = np.random.default_rng(seed)
  sound = numbers.normal(size=(size, T, D)).astype(np.float32)
  lips = np.tanh(sound @ np.random.default_rng(99).normal(size=(D, E))).astype(np.float32)
  speech = np.repeat(sound, 2, 1)
  emotion = np.eye(8, dtype=np.float32)[np.arange(size) % 8]
  mask = np.ones((size, T), np.float32) if mask is None else mask
  return ExpressionBatch(lips, speech, emotion, np.ones(size, np.float32),
                         np.zeros(size, np.int32), mask)  # fmt: skip


def stage(rate=0.0, judge_rate=1e-2, **loss):
  chains = {'generator': optax.sgd(rate), 'sync': optax.adam(judge_rate)}
  return stage_module.make(MODEL, {**config.get_config().loss, **loss}, chains, 0.9)


def test_a_logit_sees_five_frames_and_the_ten_rows_beside_them():
  net, b = LipSync(16), batch()
  params = net.init(jax.random.key(0), b.expression, b.speech)
  logits = net.apply(params, b.expression, b.speech)
  assert logits.shape == (B, T - 4)
  for change in (
    (_bumped(b.expression, 10), b.speech),
    (b.expression, _bumped(b.speech, 20)),
    (b.expression, _bumped(b.speech, 21)),
  ):
    moved = np.abs(net.apply(params, *change) - logits).max(0) > 1e-6
    assert np.flatnonzero(moved).tolist() == [6, 7, 8, 9, 10]


def _bumped(values, at):
  values = values.copy()
  values[:, at] += 1.0
  return values


def test_a_window_counts_if_all_its_frames_do():
  mask = np.ones((1, 9), np.float32)
  mask[0, 7:] = 0
  assert lip_sync.windows(jnp.asarray(mask)).tolist() == [[1, 1, 1, 0, 0]]


def test_it_learns_to_tell_own_sound_from_that_of_another_moment():
  made = stage(sync=0.01)
  state, step = made.init(jax.random.key(0), batch()), jax.jit(made.step)
  told = []
  for i in range(120):
    state, metrics = step(state, batch(i), jax.random.key(i))
    told.append(float(metrics['sync/told'].total / metrics['sync/told'].count))
  assert np.mean(told[:3]) < 0.8
  assert np.mean(told[-20:]) > 0.95  # on clips that it never saw: each step has new ones
  assert float(metrics['generator/sync'].count) == B * (T - 4)
  net, b = LipSync(16), batch(1_000)
  own = net.apply({'params': state.params['sync']}, b.expression, b.speech)
  late = net.apply({'params': state.params['sync']}, b.expression, np.roll(b.speech, 16, 1))
  assert own.mean() > 1 > -1 > late.mean()  # logits: high where lips and sound are of one moment


def test_the_wrong_sound_shares_no_frame_with_the_right_one():
  b = batch(size=64)
  # Each speech row says when it is; the network that hears only that names the moment.
  spoken = np.repeat(np.arange(T, dtype=np.float32), 2)[None, :, None].repeat(64, 0)
  b = b.replace(speech=np.repeat(spoken, D, -1))
  heard = []

  class Ear(LipSync):
    def sound(self, speech):
      return speech[:, : 2 * (T - 4) : 2, :1]

    def lips(self, expression):
      return jnp.ones((*expression[:, : T - 4].shape[:2], 1))

    def agreement(self, lips, sound):
      heard.append(sound[..., 0])
      return sound[..., 0]

  nn.apply(stage_module._pairs, Ear(1))(
    {'params': {'scale': jnp.zeros(()), 'bias': jnp.zeros(())}}, b, jax.random.key(0)
  )
  own, other = map(np.asarray, heard)
  gap = np.abs(own - other)
  assert gap.min() >= 5
  assert len({float(row[0]) for row in other}) > 5  # another moment in each clip


def test_nobody_listens_before_its_time_and_without_a_weight_it_is_not_there():
  b, key = batch(), jax.random.key(1)

  def step(**loss):
    made = stage(1.0, **loss)
    state = made.init(jax.random.key(0), b)
    return jax.jit(made.step)(state, b, key)[0].params

  without, early, late = step(), step(sync=1.0, sync_start=1), step(sync=1.0, sync_start=0)
  assert set(without) == {'generator'}
  assert set(early) == set(late) == {'generator', 'sync'}

  def apart(one, other):
    gaps = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), one, other)
    return max(jax.tree.leaves(gaps))

  assert apart(early['generator'], without['generator']) < 1e-6
  assert apart(late['generator'], without['generator']) > 1e-4
  with pytest.raises(InputError, match="no optimizer for \\['sync'\\]"):
    stage_module.make(
      MODEL, {**config.get_config().loss, 'sync': 1.0}, {'generator': optax.sgd(1.0)}, 0.9
    )


def test_windows_without_another_moment_are_refused():
  for frames in (4, 5, 6):
    short = jax.tree.map(
      lambda x, n=frames: x[:, :n] if x.ndim > 1 and x.shape[1] == T else x, batch()
    )
    short = short.replace(speech=short.speech[:, : 2 * frames])
    init = stage(sync=1.0).init
    if frames == 6:
      init(jax.random.key(0), short)
    else:
      with pytest.raises(InputError, match=f'windows of {frames} frames'):
        init(jax.random.key(0), short)


def test_padding_changes_nothing():
  mask = np.ones((B, T), np.float32)
  mask[1, 15:] = 0
  b = batch(mask=mask)
  other = b.replace(
    expression=np.where(mask[..., None] > 0, b.expression, 7.0),
    speech=np.where(mask.repeat(2, 1)[..., None] > 0, b.speech, 7.0),
  )
  made = stage(sync=1.0, sync_start=0)
  state, step = made.init(jax.random.key(0), b), jax.jit(made.step)
  (_, one), (_, two) = (step(state, x, jax.random.key(1)) for x in (b, other))
  for name in ('sync/loss', 'sync/told', 'sync/grad_norm', 'generator/sync'):
    np.testing.assert_allclose(one[name].total, two[name].total, rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(one[name].count, two[name].count, err_msg=name)


def test_gradients_are_the_slopes_of_both_losses():
  with jax.enable_x64(True):
    b = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64) if x.dtype == np.float32 else x, batch())
    net = LipSync(16)
    params = jax.tree.map(
      lambda x: jnp.asarray(x, jnp.float64), net.init(jax.random.key(0), b.expression, b.speech)
    )

    def judged(p):
      right, wrong, _ = nn.apply(stage_module._pairs, net)(p, b, jax.random.key(2))
      return (jax.nn.softplus(-right) + jax.nn.softplus(wrong)).mean()

    def heard(lips):
      return jax.nn.softplus(-net.apply(params, lips, b.speech)).mean()

    for value, at in ((judged, params), (heard, b.expression)):
      along = jax.tree.map(lambda x: jnp.cos(jnp.arange(x.size)).reshape(x.shape), at)
      slope = (
        value(jax.tree.map(lambda x, d: x + 1e-5 * d, at, along))
        - value(jax.tree.map(lambda x, d: x - 1e-5 * d, at, along))
      ) / 2e-5
      gradient = jax.tree.map(lambda g, d: (g * d).sum(), jax.grad(value)(at), along)
      np.testing.assert_allclose(sum(jax.tree.leaves(gradient)), slope, rtol=1e-6)
