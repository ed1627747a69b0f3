"""The portrait stage: who learns from what, and what a mask does."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import portrait as config
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.stages import portrait
from gmtalker_jax.types import PortraitBatch

MODEL = {
  'input_size': 64,
  'output_size': 64,
  'channel_multiplier': 0.03,
  'latent_dim': 4,
  'mapping_width': 16,
  'discriminator': {'size': 64, 'channel_multiplier': 0.03},
}
OPTIMIZERS = {'generator': optax.adam(1e-3), 'discriminator': optax.adam(1e-3)}


def loss(**changes):
  """The method's objective with changes."""
  return {**config.get_config().loss, **changes}


def batch_of(size: int = 2, mask=None) -> PortraitBatch:
  rng = np.random.default_rng(0)

  def image():
    return jnp.asarray(rng.uniform(-1, 1, (size, 64, 64, 3)), jnp.float32)

  return PortraitBatch(
    rendering=image(),
    image=image(),
    emotion=jnp.asarray(rng.dirichlet(np.ones(8), size), jnp.float32),
    latent=jnp.asarray(rng.normal(size=(size, 4)), jnp.float32),
    mask=jnp.ones(size) if mask is None else jnp.asarray(mask, jnp.float32),
  )


RATED = optax.inject_hyperparams(optax.sgd)
SGD = {'generator': RATED(learning_rate=1e-3), 'discriminator': RATED(learning_rate=1e-3)}


def rates(state, **learning_rates: float):
  """Sets learning rates without compiling the step again."""
  opt_state = dict(state.opt_state)
  for name, rate in learning_rates.items():
    hyperparams = {'learning_rate': jnp.asarray(rate, jnp.float32)}
    opt_state[name] = opt_state[name]._replace(hyperparams=hyperparams)
  return state.replace(opt_state=opt_state)


def same(a, b) -> bool:
  return all(jax.tree.leaves(jax.tree.map(lambda x, y: bool((x == y).all()), a, b)))


@pytest.fixture(scope='module')
def adversarial():
  stage = portrait.make(MODEL, loss(r1_every=2, pyramid=1.0), SGD, 0.9)
  return stage, jax.jit(stage.init)(jax.random.key(0), batch_of()), jax.jit(stage.step)


def test_step_changes_both_networks_and_reports(adversarial):
  _, state, step = adversarial
  new, metrics = step(state, batch_of(), jax.random.key(1))
  for name in ('generator', 'discriminator'):
    assert not same(new.params[name], state.params[name])
  assert all(np.isfinite(m.total) for m in metrics.values())
  assert metrics['r1/gradient'].count == 2
  _, metrics = step(new, batch_of(), jax.random.key(1))
  assert metrics['r1/gradient'].count == 0  # not due on odd steps
  l1, pyramid = (metrics[f'generator/{n}'] for n in ('l1', 'pyramid'))
  assert pyramid.total > l1.total  # noise has detail in every band
  assert set(new.ema) == {'generator'}  # nobody serves a discriminator
  served = {'generator': new.params['generator']}
  ema = jax.tree.map(lambda e, p: 0.9 * e + 0.1 * p, state.ema, served)
  assert jax.tree.all(jax.tree.map(lambda a, b: jnp.allclose(a, b, atol=1e-6), ema, new.ema))


@pytest.mark.parametrize('frozen', ['generator', 'discriminator'])
def test_a_phase_trains_only_its_network(adversarial, frozen):
  _, state, step = adversarial
  new, _ = step(rates(state, **{frozen: 0.0}), batch_of(), jax.random.key(1))
  for name in SGD:
    assert same(new.params[name], state.params[name]) == (name == frozen)


def test_masked_examples_change_no_metric():
  stage = portrait.make(MODEL, loss(adversarial=0.0), OPTIMIZERS, 0.99)
  batch = batch_of(mask=[1, 0])
  params = jax.jit(stage.init)(jax.random.key(0), batch).params
  other = batch.replace(image=batch.image.at[1].set(0.0), rendering=batch.rendering.at[1].set(9.0))
  evaluate = jax.jit(stage.evaluate)
  a, b = (evaluate(params, x, jax.random.key(2)) for x in (batch, other))
  for name in ('psnr', 'psnr_rendering', 'l1'):
    assert a[name].count == 1
    np.testing.assert_allclose(a[name].total, b[name].total, rtol=1e-5)


def test_gradient_of_the_whole_loss_against_finite_differences(adversarial):
  # Descent of rate r moves the weights by -r g, and the loss falls by r |g|^2. The discriminator
  # rests, so that both losses (l1, pyramid, adversarial) are of one function.
  rate = 3e-3
  _, state, step = adversarial
  state, key = rates(state, generator=rate, discriminator=0.0), jax.random.key(1)
  new, before = step(state, batch_of(), key)
  _, after = step(new, batch_of(), key)
  slope = float(before['generator/loss'].total - after['generator/loss'].total) / rate
  norm = float(before['generator/grad_norm'].total)
  assert norm > 0
  np.testing.assert_allclose(slope, norm**2, rtol=0.05)


def test_path_length_is_a_phase_with_a_mean_of_its_own():
  """Its slope has a test without leaky ReLUs, in tests/losses: with them lengths jump."""
  objective = loss(adversarial=0.0, l1=0.0, path_length=2.0, path_length_every=2)
  stage = portrait.make(MODEL, objective, SGD, 0.9)
  state, step = jax.jit(stage.init)(jax.random.key(0), batch_of()), jax.jit(stage.step)
  assert float(state.stats['path_length']) == 0
  new, found = step(state, batch_of(), jax.random.key(1))
  length = float(found['path/length'].total) / 2
  assert length > 0
  assert float(found['path/grad_norm'].total) > 0
  assert not same(new.params, state.params)  # l1 weighs nothing here
  np.testing.assert_allclose(new.stats['path_length'], 0.01 * length, rtol=1e-4)
  still, skipped = step(new, batch_of(), jax.random.key(1))
  assert skipped['path/length'].count == 0
  assert still.stats['path_length'] == new.stats['path_length']
  assert same(still.params, new.params)


@pytest.mark.parametrize(('paired', 'channels'), [(True, 6), (False, 3)])
def test_the_critic_sees_the_rendering_or_not(paired, channels):
  stage = portrait.make(MODEL, loss(paired=paired), OPTIMIZERS, 0.99)
  state = jax.eval_shape(stage.init, jax.random.key(0), batch_of())
  first = jax.tree.leaves(state.params['discriminator']['from_rgb_32'])
  assert max(x.shape[2] for x in first if x.ndim == 4) == 4 * channels  # wavelets
  jax.eval_shape(stage.step, state, batch_of(), jax.random.key(0))


def test_no_adversarial_loss_no_discriminator():
  stage = portrait.make(MODEL, loss(adversarial=0.0), OPTIMIZERS, 0.99)
  state = jax.eval_shape(stage.init, jax.random.key(0), batch_of())
  assert set(state.params) == set(state.opt_state) == {'generator'}


def test_perceptual_loss_without_weights():
  with pytest.raises(InputError, match='without VGG16 weights'):
    portrait.make(MODEL, loss(perceptual=0.03), OPTIMIZERS, 0.99)


def test_missing_optimizer():
  with pytest.raises(InputError, match='no optimizer for'):
    portrait.make(MODEL, loss(), {'generator': OPTIMIZERS['generator']}, 0.99)
