"""Positions, biases and pooling against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax.models import layers


def test_slopes_are_those_of_the_method():
  np.testing.assert_allclose(layers.slopes(4), [2**-2, 2**-4, 2**-6, 2**-8])


def test_positions_repeat_with_the_period():
  encoding = layers.periodic(jnp.arange(60), 8, 25)
  np.testing.assert_array_equal(encoding[3], encoding[28])
  assert len(np.unique(np.asarray(encoding[:25]).round(5), axis=0)) == 25


def test_causal_bias_steps_down_once_a_period_and_blocks_the_future():
  age = jnp.arange(60)[:, None] - jnp.arange(60)[None]
  bias = layers.causal_bias(age, heads=2, period=25)
  for query, key in ((59, 59), (59, 40), (59, 34), (59, 0)):
    expected = -(2.0**-4) * ((query - key) // 25)
    assert bias[0, query, key] == expected
  assert (bias[:, 10, 11:] == layers.BLOCKED).all()
  short = layers.causal_bias(age, heads=2, period=25, history=5)
  assert (short[0, 30] > layers.BLOCKED).sum() == 5


def test_speech_context_reaches_as_far_as_its_layers():
  speech = jax.random.normal(jax.random.key(0), (1, 20, 3))
  mask = jnp.ones((1, 20))
  for count in (0, 2):
    module = layers.SpeechTokens(8, count)
    variables = module.init(jax.random.key(1), speech, mask)

    def one(s, v=variables, m=module):
      return m.apply(v, s, mask)[0, 10].sum()

    seen = jnp.nonzero(jnp.abs(jax.grad(one)(speech)[0]).sum(-1))[0]
    assert (int(seen.min()), int(seen.max())) == (10 - count, 10 + count)


def test_pooling_is_a_mean_of_valid_frames():
  x = jnp.broadcast_to(jnp.arange(4.0)[None], (1, 4)).reshape(1, 1, 4).repeat(6, 1)
  mask = jnp.array([[1.0, 1.0, 1.0, 0.0, 0.0, 0.0]])
  x = x.at[:, 3:].set(jnp.nan)
  module = layers.AttentionPooling(4)
  clean = jnp.where(mask[..., None] > 0, x, 0.0)
  variables = module.init(jax.random.key(0), clean, mask)
  np.testing.assert_allclose(module.apply(variables, clean, mask)[0], jnp.arange(4.0), rtol=1e-6)
