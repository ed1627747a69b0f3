"""GMEG: two ways to decode agree, nothing looks ahead, masks hold, the mixture obeys weights."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import expression as config
from gmtalker_jax.core import distributions
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.core.means import finalize
from gmtalker_jax.losses import variational
from gmtalker_jax.models.expression import ExpressionGenerator
from gmtalker_jax.stages import expression as stage_module
from gmtalker_jax.types import ExpressionBatch

B, T, D, E, K = 2, 9, 3, 4, 3
SIZE = {
  'speech_dim': D, 'expression_dim': E, 'emotions': K, 'subjects': 2, 'width': 8, 'latent_dim': 8,
  'w_dim': 4, 'heads': 2, 'encoder_layers': 1, 'decoder_layers': 2, 'period': 4, 'dropout': 0.0,
}  # fmt: skip


def _batch(frames=T, batch=B, seed=0):
  keys = jax.random.split(jax.random.key(seed), 2)
  return ExpressionBatch(
    expression=jax.random.normal(keys[0], (batch, frames, E)),
    speech=jax.random.normal(keys[1], (batch, 2 * frames, D)),
    emotion=jax.nn.one_hot(jnp.arange(batch) % K, K),
    labelled=jnp.ones(batch),
    subject=jnp.arange(batch) % 2,
    mask=jnp.ones((batch, frames)),
  )


def _loss(**changes):
  """The method's objective with changes."""
  return {**config.get_config().loss, **changes}


def _model(seed=0, **changes):
  """A model with every parameter moved off its start, so that zeros hide nothing."""
  model, b = ExpressionGenerator(**{**SIZE, **changes}), _batch()
  params = jax.jit(model.init)(jax.random.key(seed), b.expression, b.speech, b.mask, b.subject)
  leaves, tree = jax.tree.flatten(params)
  keys = jax.random.split(jax.random.key(seed + 1), len(leaves))
  leaves = [x + 0.1 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys, strict=True)]
  params = jax.tree.unflatten(tree, leaves)

  def run(method, *args):
    arrays = [a for a in args if isinstance(a, jax.Array)]

    @jax.jit
    def call(arrays):
      rest = iter(arrays)
      filled = [next(rest) if isinstance(a, jax.Array) else a for a in args]
      return model.apply(params, *filled, method=method)

    return call(arrays)

  return run


def _latent(seed=5, shape=(B, 8)):
  return jax.random.normal(jax.random.key(seed), shape)


def test_with_one_component_emotion_is_heard_only_by_a_decoder_that_is_told():
  b, key = _batch(), jax.random.key(3)
  happy, sad = (jax.nn.one_hot(jnp.full(B, k), 8) for k in (4, 6))
  for told in (False, True):
    run = _model(emotions=1, told=told)
    made = [run('sample', b.speech, e, key)[0] for e in (happy, sad, (happy + sad) / 2)]
    assert bool(jnp.allclose(made[0], made[1], atol=1e-6)) is not told
    changing = jnp.broadcast_to(happy[:, None], (B, T, 8))
    np.testing.assert_allclose(run('sample', b.speech, changing, key)[0], made[0], atol=1e-5)


@pytest.mark.parametrize(
  'changes',
  [{}, {'align_window': 2, 'speech_layers': 1}, {'history': 3}, {'decoder_mode': 'parallel'}],
)
def test_decoder_fed_its_own_outputs_equals_the_rollout(changes):
  run, b = _model(**changes), _batch()
  mask = b.mask.at[1, 6:].set(0.0)
  z, subject = _latent(shape=(B, T, 8)), run('embed', b.subject)
  free = run('rollout', b.speech, z, mask, subject)
  forced = run('decode', free, b.speech, z, mask, subject)
  valid = mask[..., None]
  np.testing.assert_allclose(forced * valid, free * valid, atol=2e-6)
  assert jnp.abs(free).max() > 0.1


def test_no_frame_sees_itself_or_later_frames_of_the_feedback():
  run, b = _model(align_window=1), _batch()
  subject = run('embed', b.subject)

  def at(frames, t):
    return run('decode', frames, b.speech, _latent(), b.mask, subject)[0, t].sum()

  for t in (0, 4, T - 1):
    grad = jnp.abs(jax.grad(at)(b.expression, t)[0]).sum(-1)
    assert (grad[t:] == 0).all()
    assert (grad[:t] > 0).all()


@pytest.mark.parametrize('window', [0, 2])
def test_frame_sees_only_its_window_of_speech(window):
  # One layer, no past: what is left is cross-attention alone.
  run, b = _model(align_window=window, history=1, decoder_layers=1), _batch()
  subject = run('embed', b.subject)

  def at(s, t):
    return run('decode', b.expression, s, _latent(), b.mask, subject)[0, t].sum()

  for t in (0, 4, T - 1):
    grad = jnp.abs(jax.grad(at)(b.speech, t)[0]).sum(-1)
    rows = range(max(2 * (t - window), 0), min(2 * (t + window) + 2, 2 * T))
    assert list(map(int, jnp.nonzero(grad)[0])) == list(rows)


def test_masked_frames_move_nothing():
  run, b = _model(align_window=2, speech_layers=1), _batch()
  mask = b.mask.at[0, 3].set(0.0).at[0, 7:].set(0.0)
  rows = jnp.repeat(mask, 2, axis=1)[..., None]
  dirty = jnp.where(mask[..., None] > 0, b.expression, jnp.nan)
  noisy = jnp.where(rows > 0, b.speech, jnp.nan)
  for name in ('w', 'z'):
    a = getattr(run('encode', b.expression, b.speech, mask), name)
    c = getattr(run('encode', dirty, noisy, mask), name)
    np.testing.assert_array_equal(a.mean, c.mean)
  subject = run('embed', b.subject)
  a = run('decode', b.expression, b.speech, _latent(), mask, subject)
  c = run('decode', dirty, noisy, _latent(), mask, subject)
  np.testing.assert_array_equal(a * mask[..., None], c * mask[..., None])


@pytest.mark.parametrize('mapper', ['mlp', 'transformer'])
def test_one_hot_weights_are_the_component_in_every_mode(mapper):
  run = _model(mapper=mapper)
  key, weights = jax.random.key(0), jax.nn.one_hot(jnp.array([2, 0]), K)
  modes = ('interpolation', 'component', 'moment')
  z = [run('sample_latent', weights, key, 1.0, mode) for mode in modes]
  np.testing.assert_allclose(z[0], z[1], atol=1e-5)
  np.testing.assert_allclose(z[0], z[2], atol=1e-4)
  other = run('sample_latent', weights[::-1], key)
  assert jnp.abs(z[0] - other).max() > 0.1


def test_one_component_is_a_conditional_vae():
  """Nothing is left of the mixture: r = 1, L_emo = 0, and L_cond is the KL to one Gaussian."""
  run, batch = _model(emotions=1), _batch()
  posterior = run('encode', batch.expression, batch.speech, batch.mask)
  prior = run('mixture', posterior.w.mean)
  log_r = distributions.log_responsibilities(posterior.z.mean, prior)
  np.testing.assert_allclose(log_r, 0, atol=1e-6)
  np.testing.assert_allclose(variational.uniform_kl(log_r), 0, atol=1e-6)
  labels = run('simplex', batch.emotion)
  np.testing.assert_allclose(labels, 1)
  alone = jax.tree.map(lambda x: x[:, 0], prior)
  np.testing.assert_allclose(
    variational.conditional_kl(posterior.z, prior, labels),
    distributions.kl(posterior.z, alone), rtol=1e-5,
  )  # fmt: skip
  key = jax.random.key(0)
  np.testing.assert_allclose(
    run('sample_latent', batch.emotion, key), run('sample_latent', batch.emotion[::-1], key)
  )  # e says nothing


def test_components_beyond_the_emotions_have_no_name():
  run, key = _model(emotions=12), jax.random.key(0)
  eight = jax.nn.one_hot(jnp.array([2, 7]), 8)
  np.testing.assert_array_equal(run('simplex', eight)[:, 8:], 0)
  np.testing.assert_allclose(
    run('sample_latent', eight, key), run('sample_latent', jnp.pad(eight, ((0, 0), (0, 4))), key)
  )
  with pytest.raises(InputError, match='got weights of 7 emotions, expected 12'):
    run('simplex', eight[:, :7])


def test_interpolation_is_linear_and_may_move_over_time():
  run, key = _model(), jax.random.key(0)
  a, c = jax.nn.one_hot(jnp.zeros(B, int), K), jax.nn.one_hot(jnp.ones(B, int), K)
  ends = [run('sample_latent', w, key) for w in (a, c)]
  middle = run('sample_latent', 0.25 * a + 0.75 * c, key)
  np.testing.assert_allclose(middle, 0.25 * ends[0] + 0.75 * ends[1], atol=1e-5)
  b = _batch()
  moving = jnp.concatenate([jnp.repeat(a[:, None], 4, 1), jnp.repeat(c[:, None], T - 4, 1)], 1)
  frames, z = run('sample', b.speech, moving, key)
  assert frames.shape == (B, T, E)
  np.testing.assert_allclose(z[:, 3], ends[0], atol=1e-5)
  np.testing.assert_allclose(z[:, 4], ends[1], atol=1e-5)


def test_component_draws_follow_the_weights():
  run = _model()
  weights = jnp.tile(jnp.array([[0.7, 0.3, 0.0]]), (2000, 1))
  z = run('sample_latent', weights, jax.random.key(1), 0.0, 'component')
  pure = [
    run('sample_latent', jnp.tile(jax.nn.one_hot(k, K)[None], (2000, 1)), jax.random.key(1), 0.0)
    for k in range(K)
  ]
  share = [float((jnp.abs(z - p).max(-1) < 1e-5).mean()) for p in pure]
  np.testing.assert_allclose(share, [0.7, 0.3, 0.0], atol=0.04)


def test_temperature_zero_is_deterministic_given_w_and_unknown_subject_is_the_mean():
  run = _model()
  table = run('embed', jnp.array([0, 1]))
  np.testing.assert_allclose(run('embed', jnp.array([-1])), table.mean(0)[None], atol=1e-6)
  np.testing.assert_allclose(run('embed', None, 2), table.mean(0)[None].repeat(2, 0), atol=1e-6)


def test_errors_say_what_to_do():
  run, b = _model(), _batch()
  with pytest.raises(InputError, match='got weights of 8 emotions, expected 3'):
    run('sample', b.speech, jnp.ones((B, 8)) / 8, jax.random.key(0))
  with pytest.raises(InputError, match='got speech'):
    run('sample', b.speech[..., :2], b.emotion, jax.random.key(0))
  with pytest.raises(InputError, match='got sampling mode'):
    run('sample', b.speech, b.emotion, jax.random.key(0), 1.0, 'mean')
  with pytest.raises(InputError, match='got label_mode'):
    stage_module.Objective(**_loss(label_mode='labels'))


def _stage(model=None, **loss):
  tx = {'generator': optax.sgd(1.0)}
  return stage_module.make({**SIZE, **(model or {})}, _loss(**loss), tx, 0.9)


def test_padding_does_not_move_evaluate():
  stage, b = _stage({'align_window': 2}), _batch()
  params = jax.jit(stage.init)(jax.random.key(0), b).params
  params = jax.tree.map(lambda x: x + 0.05 * jnp.sin(jnp.arange(x.size)).reshape(x.shape), params)
  plain = finalize(jax.jit(stage.evaluate)(params, b, jax.random.key(1)))
  long = _batch(T + 3, B + 1, seed=7)

  def put(new, old):
    return new.at[tuple(slice(0, n) for n in old.shape)].set(old)

  padded = jax.tree.map(put, long, b).replace(mask=put(jnp.zeros((B + 1, T + 3)), b.mask))
  moved = finalize(jax.jit(stage.evaluate)(params, padded, jax.random.key(1)))
  assert plain.keys() == moved.keys()
  for name, value in plain.items():
    np.testing.assert_allclose(moved[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
  'loss',
  [
    {'label_mode': 'label', 'velocity': 0.5, 'feedback_dropout': 0.3, 'feedback_noise': 0.1},
    {'label_mode': 'semi', 'elbo_scale': 'sum', 'uniform_free_bits': 0.0},
    {'label_mode': 'posterior', 'uniform_free_bits': 0.0, 'scheduled_sampling': 0.0},
  ],
)
def test_gradient_is_the_slope_of_the_loss(loss):
  # Own outputs carry no gradient by design, so at step 0 their share is zero and all is smooth.
  model, objective = ExpressionGenerator(**SIZE), stage_module.Objective(**_loss(**loss))
  with jax.enable_x64(True):
    b = _batch()
    assert b.expression.dtype == jnp.float64
    b = b.replace(labelled=b.labelled.at[1].set(0.0)) if loss['label_mode'] == 'semi' else b
    params = jax.jit(model.init)(jax.random.key(0), b.expression, b.speech, b.mask, b.subject)

    def wave(x):
      return jnp.sin(3.0 * jnp.arange(x.size)).reshape(x.shape)

    params = jax.tree.map(lambda x: x.astype(jnp.float64) + 0.1 * wave(x), params)
    run = nn.apply(stage_module._loss, model)
    value = jax.jit(lambda p: run(p, b, jax.random.key(1), jnp.array(0), objective)[0])
    grads = jax.jit(jax.grad(value))(params)
    assert all(bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(grads))

    def shift(size):
      return jax.tree.map(lambda p: p + size * jnp.cos(wave(p) * 9.0), params)

    slope = (value(shift(1e-5)) - value(shift(-1e-5))) / 2e-5
    along = sum(
      jax.tree.leaves(jax.tree.map(lambda g, p: (g * jnp.cos(wave(p) * 9.0)).sum(), grads, params))
    )
    np.testing.assert_allclose(along, slope, rtol=1e-4)
