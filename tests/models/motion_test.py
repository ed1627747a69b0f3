"""NFMG: the flow keeps its contract, sampling is diverse, masks hold, slopes are true."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import motion as config
from gmtalker_jax.core import distributions
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.core.means import finalize
from gmtalker_jax.models.motion import MotionGenerator
from gmtalker_jax.stages import motion as stage_module
from gmtalker_jax.types import MotionBatch

B, T, D, M = 2, 10, 3, 12
SIZE = {
  'speech_dim': D, 'motion_dim': M, 'latent_dim': 4, 'stride': 4, 'flow_steps': 3, 'flow_width': 8,
  'flow_layers': 1, 'width': 8, 'heads': 2, 'encoder_layers': 1, 'decoder_layers': 1, 'period': 4,
  'dropout': 0.0,
}  # fmt: skip


def _batch(frames=T, batch=B, seed=0):
  keys = jax.random.split(jax.random.key(seed), 2)
  return MotionBatch(
    motion=jax.random.normal(keys[0], (batch, frames, M)),
    speech=jax.random.normal(keys[1], (batch, 2 * frames, D)),
    mask=jnp.ones((batch, frames)),
  )


def _model(bump=0.1, **changes):
  """A model with every parameter moved off its start by `bump`."""
  model, b = MotionGenerator(**{**SIZE, **changes}), _batch()
  params = jax.jit(model.init)(jax.random.key(0), b.motion, b.speech, b.mask)
  params = jax.tree.map(lambda x: x + bump * _wave(x), params)
  return lambda method, *args: jax.jit(lambda a: model.apply(params, *a, method=method))(args)


def _wave(x):
  return jnp.sin(3.0 * jnp.arange(x.size)).reshape(x.shape)


def test_flow_goes_there_and_back_with_the_jacobians_determinant():
  run, b = _model(bump=0.3), _batch()
  z = jax.random.normal(jax.random.key(1), (B, 3, 4))
  moved, forward = run('push', z, b.speech, b.mask)
  back, inverse = run('pull', moved, b.speech, b.mask)
  assert jnp.abs(forward).max() > 0.05
  np.testing.assert_allclose(back, z, atol=1e-4)
  np.testing.assert_allclose(forward, -inverse, atol=1e-4)

  def flat(x):
    return run('push', z.at[0].set(x.reshape(3, 4)), b.speech, b.mask)[0][0].reshape(-1)

  jacobian = jax.jacrev(flat)(z[0].reshape(-1))
  np.testing.assert_allclose(forward[0], jnp.linalg.slogdet(jacobian)[1], atol=1e-4)


def test_flow_starts_as_flips_with_the_standard_density():
  run, b = _model(bump=0.0), _batch()
  z = jax.random.normal(jax.random.key(1), (B, 3, 4))
  moved, log_det = run('push', z, b.speech, b.mask)
  np.testing.assert_array_equal(moved, z[..., ::-1])  # three flips
  np.testing.assert_array_equal(log_det, 0.0)
  expected = -0.5 * (jnp.square(z) + jnp.log(2 * jnp.pi)).sum((1, 2))
  np.testing.assert_allclose(run('prior_log_density', moved, b.speech, b.mask), expected, rtol=1e-5)


@pytest.mark.parametrize('changes', [{}, {'flow_audio_cond': True}])
def test_masked_latents_add_nothing(changes):
  run, b = _model(**changes), _batch()
  mask = b.mask.at[:, 8:].set(0.0)  # the third latent has no frame
  latents = jax.random.normal(jax.random.key(2), (B, 3, 4))
  density = run('prior_log_density', latents, b.speech, mask)
  other = run('prior_log_density', latents.at[:, 2].add(5.0), b.speech.at[:, 16:].add(3.0), mask)
  np.testing.assert_allclose(density, other, rtol=1e-6)
  short = run('prior_log_density', latents[:, :2], b.speech[:, :16], b.mask[:, :8])
  np.testing.assert_allclose(density, short, rtol=1e-5)


@pytest.mark.parametrize('layout', ['sequence', 'vector'])
def test_decoder_fed_its_own_outputs_equals_the_rollout(layout):
  run, b = _model(latent_layout=layout, align_window=1), _batch()
  latents = run('encode', b.motion, b.speech, b.mask).mean
  assert latents.shape == (B, 3 if layout == 'sequence' else 1, 4)
  free = run('rollout', b.speech, latents, b.mask)
  np.testing.assert_allclose(run('decode', free, b.speech, latents, b.mask), free, atol=2e-6)


def test_samples_differ_by_key_and_not_without_noise():
  run, b = _model(bump=0.3), _batch()
  keys = jax.random.split(jax.random.key(0))
  a, c = (run('sample', b.speech, k) for k in keys)
  assert a.shape == (B, T, M)
  assert jnp.abs(a - c).mean() > 1e-2
  np.testing.assert_array_equal(
    run('sample', b.speech, keys[0], 0.0), run('sample', b.speech, keys[1], 0.0)
  )


def test_without_a_latent_there_is_one_motion_and_no_divergence():
  run, b = _model(bump=0.3, latent_layout='none'), _batch()
  keys = jax.random.split(jax.random.key(0))
  a, c = (run('sample', b.speech, k) for k in keys)
  np.testing.assert_array_equal(a, c)
  assert jnp.abs(a - run('sample', b.speech[::-1], keys[0])).mean() > 1e-3  # it listens
  posterior = run('encode', b.motion, b.speech, b.mask)
  drawn = jax.random.normal(keys[0], posterior.mean.shape)
  density = run('prior_log_density', drawn, b.speech, b.mask)
  np.testing.assert_allclose(distributions.log_density(posterior, drawn).sum(1), density, rtol=1e-6)


def _stage(**model):
  loss = config.get_config().loss
  return stage_module.make({**SIZE, **model}, loss, {'generator': optax.sgd(1.0)}, 0.9)


@pytest.mark.parametrize('objective', ['prior', 'posterior'])
def test_padding_does_not_move_evaluate(objective):
  stage, b = _stage(flow_objective=objective, align_window=1), _batch()
  params = jax.jit(stage.init)(jax.random.key(0), b).params
  params = jax.tree.map(lambda x: x + 0.1 * _wave(x), params)
  evaluate = jax.jit(stage.evaluate)
  plain = finalize(evaluate(params, b, jax.random.key(1)))

  def put(new, old):
    return new.at[tuple(slice(0, n) for n in old.shape)].set(old)

  long = _batch(T + 5, B + 1, seed=7)
  padded = jax.tree.map(put, long, b).replace(mask=put(jnp.zeros((B + 1, T + 5)), b.mask))
  moved = finalize(evaluate(params, padded, jax.random.key(1)))
  assert {'rec', 'rec_free', 'kl', 'log_density', 'diversity'} == plain.keys()
  for name, value in plain.items():
    np.testing.assert_allclose(moved[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize('reading', ['prior', 'posterior'])
def test_gradient_is_the_slope_of_the_loss(reading):
  model = MotionGenerator(**SIZE, flow_objective=reading)
  changes = {'feedback_dropout': 0.3, 'feedback_noise': 0.1, 'free_bits': 0.0}
  loss = {**config.get_config().loss, **changes, 'scheduled_sampling': 0.0}
  objective = stage_module.Objective(**loss)
  with jax.enable_x64(True):
    b = _batch()
    params = jax.jit(model.init)(jax.random.key(0), b.motion, b.speech, b.mask)
    params = jax.tree.map(lambda x: x.astype(jnp.float64) + 0.1 * _wave(x), params)
    run = nn.apply(stage_module._loss, model)
    value = jax.jit(lambda p: run(p, b, jax.random.key(1), jnp.array(5000), objective)[0])
    grads = jax.jit(jax.grad(value))(params)

    def way(x):
      return jnp.cos(9.0 * _wave(x))

    def shift(size):
      return jax.tree.map(lambda p: p + size * way(p), params)

    slope = (value(shift(1e-5)) - value(shift(-1e-5))) / 2e-5
    along = sum(jax.tree.leaves(jax.tree.map(lambda g: (g * way(g)).sum(), grads)))
    assert all(bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(grads))
    np.testing.assert_allclose(along, slope, rtol=1e-4)


def test_errors_say_what_to_do():
  b = _batch()
  with pytest.raises(InputError, match='got flow_objective'):
    _model(flow_objective='both')
  with pytest.raises(InputError, match='got speech'):
    _model()('sample', b.speech[..., :2], jax.random.key(0))


def test_without_couplings_the_prior_is_a_standard_gaussian():
  run, b = _model(flow_steps=0), _batch()
  latents = jax.random.normal(jax.random.key(1), (B, 3, SIZE['latent_dim']))
  density = run(MotionGenerator.prior_log_density, latents, b.speech, b.mask)
  expected = -0.5 * (latents**2 + jnp.log(2 * jnp.pi)).sum((1, 2))
  np.testing.assert_allclose(density, expected, rtol=1e-5)
  pushed, _ = run(MotionGenerator.push, latents, b.speech, b.mask)
  np.testing.assert_array_equal(pushed, latents)
