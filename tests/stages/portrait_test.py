"""The portrait stage: who learns from what, and what a mask does."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.stages import portrait
from gmtalker_jax.types import PortraitBatch

MODEL = {
  'input_size': 64,
  'output_size': 64,
  'channel_multiplier': 0.03,
  'latent': 4,
  'mapping_width': 16,
}
OPTIMIZERS = {'generator': optax.adam(1e-3), 'discriminator': optax.adam(1e-3)}


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


def test_step_changes_both_networks_and_reports():
  stage = portrait.make(MODEL, {}, OPTIMIZERS, 0.99)
  batch = batch_of()
  state = stage.init(jax.random.key(0), batch)
  new, metrics = jax.jit(stage.step)(state, batch, jax.random.key(1))
  for name in ('generator', 'discriminator'):
    moved = optax.tree.norm(optax.tree.sub(new.params[name], state.params[name]))
    assert moved > 0
  assert all(np.isfinite(m.total) for m in metrics.values())
  assert metrics['r1/gradient'].count == 2


def test_no_adversarial_loss_no_discriminator():
  stage = portrait.make(MODEL, {'adversarial': 0.0}, OPTIMIZERS, 0.99)
  state = stage.init(jax.random.key(0), batch_of())
  assert set(state.params) == set(state.opt_state) == {'generator'}


def test_missing_optimizer():
  with pytest.raises(InputError, match='no optimizer for'):
    portrait.make(MODEL, {}, {'generator': OPTIMIZERS['generator']}, 0.99)
