"""What a decoder is fed while it trains, and what each way of using labels makes small."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import expression as config
from gmtalker_jax.core import distributions
from gmtalker_jax.core.distributions import Gaussian
from gmtalker_jax.stages import expression as stage
from gmtalker_jax.stages import feedback

TRUTH = jnp.arange(400.0).reshape(2, 100, 2)


def run(frames, keep):
  """A decoder that answers with what it was fed, a thousand higher; nothing where withheld."""
  return 1000 + frames * keep[..., None]


@pytest.mark.parametrize('own', [0, 0.0, 0.3, 1.0])
def test_scheduled_sampling_feeds_so_many_own_outputs(own):
  made = feedback.decode(run, TRUTH, jnp.ones((2, 100)), jax.random.key(0), 0.0, 0.0, own)
  second = np.asarray(made - TRUTH)[..., 0] == 2000  # it went through the decoder before
  assert ((np.asarray(made - TRUTH)[..., 0] == 1000) | second).all()
  np.testing.assert_allclose(second.mean(), own, atol=0.12)


def test_own_outputs_carry_no_gradient():
  total = lambda x: feedback.decode(  # noqa: E731
    lambda frames, keep: x * frames, TRUTH, jnp.ones((2, 100)), jax.random.key(0), 0, 0, 1.0
  ).sum()
  assert float(jax.grad(total)(3.0)) == float(3.0 * TRUTH.sum())  # d(x stop(x) f) = stop(x) f


def test_feedback_is_withheld_by_frame_and_by_clip():
  mask = jnp.ones((400, 50))
  keep = feedback.withheld(jax.random.key(0), mask, 0.25)
  gone = np.asarray(keep).max(1) == 0
  np.testing.assert_allclose(gone.mean(), 0.25, atol=0.07)
  np.testing.assert_allclose(np.asarray(keep)[~gone].mean(), 0.75, atol=0.02)


def terms(labels, labelled=1.0, **changes):
  """L_cond and L_emo [B] for the three components of method 2.4, whose numbers are known."""
  loss = {**config.get_config().loss, 'uniform_free_bits': 0.0, **changes}
  log = lambda x: jnp.log(jnp.asarray(x, jnp.float32))[None]  # noqa: E731
  z = Gaussian(jnp.array([[0.2, -0.4]]), log([0.5, 0.25]))
  components = Gaussian(
    jnp.array([[[0.0, 0], [1, 1], [-1, 0.5]]]), log([[1, 1], [0.5, 2], [0.25, 0.25]])
  )
  log_r = distributions.log_responsibilities(jnp.array([[0.3, -0.1]]), components)
  posterior = SimpleNamespace(z=z, w=z)
  found = stage._terms(
    stage.Objective(**loss), jnp.array([labels]), jnp.array([labelled]), posterior, components,
    log_r,
  )  # fmt: skip
  return float(found['kl_cond'][0]), float(found['emo'][0])


R, KL = np.array([0.64699286, 0.30791854, 0.04508861]), (0.51472077, 1.73222077, 4.65342641)
MARGINAL = 1.07622006, 0.31445997


@pytest.mark.parametrize(
  ('mode', 'labelled', 'expected'),
  [
    ('posterior', 1.0, MARGINAL),
    ('label', 1.0, (KL[1], -np.log(R[1]))),
    ('semi', 1.0, (KL[1], -np.log(R[1]))),
    ('semi', 0.0, MARGINAL),
  ],
)
def test_a_label_counts_as_its_mode_says(mode, labelled, expected):
  np.testing.assert_allclose(terms([0.0, 1, 0], labelled, label_mode=mode), expected, rtol=1e-4)


def test_a_soft_label_is_a_law_or_a_weighted_sum():
  found = terms([0.5, 0.5, 0], soft_labels='weighted')
  np.testing.assert_allclose(found, (0.5 * (KL[0] + KL[1]), -0.5 * np.log(R[:2]).sum()), rtol=1e-4)
  mean, deviation = np.array([0.5, 0.5]), 0.5 * (np.ones(2) + np.sqrt([0.5, 2]))
  variance, own = deviation**2, np.array([0.5, 0.25])
  law = 0.5 * (np.log(variance / own) + (own + ([0.2, -0.4] - mean) ** 2) / variance - 1).sum()
  np.testing.assert_allclose(terms([0.5, 0.5, 0]), (law, 0.0), rtol=1e-4)
