"""A painter's z covers what speaking can give it."""

import numpy as np

from gmtalker_jax.data import latent
from gmtalker_jax.data.latent import Mixtures, Normal

RNG = np.random.default_rng(0)
CLIP = Normal(np.full(4, 10.0), np.full(4, 0.1))
MIXTURES = Mixtures(Normal(RNG.normal(size=(50, 8, 4)), np.full((50, 8, 4), 0.5)))
EMOTION = np.eye(8, dtype=np.float32)[3]


def draws(share, count=500, highest=1.0):
  return np.stack([latent.draw(CLIP, MIXTURES, EMOTION, share, highest, RNG) for _ in range(count)])


def test_the_share_decides_whose_latent_it_is():
  of_clip = lambda z: np.abs(z - 10).max(-1) < 1  # noqa: E731
  assert of_clip(draws(1.0)).all()
  assert not of_clip(draws(0.0)).any()
  assert 0.4 < of_clip(draws(0.5)).mean() < 0.6


def test_every_temperature_down_to_the_mean_of_the_mixture_is_seen():
  # Speaking gives the mean of the mixture: the nearest draw must come close to some mean.
  means = MIXTURES.components.mean[:, 3]
  apart = np.linalg.norm(draws(0.0)[:, None] - means[None], axis=-1).min(1)
  assert apart.min() < 0.05
  assert apart.max() > 0.5


def test_without_temperature_they_are_means():
  np.testing.assert_array_equal(draws(1.0, 5, highest=0.0), np.tile(CLIP.mean, (5, 1)))
  means = MIXTURES.components.mean[:, 3].astype(np.float32)
  assert all((means == z).all(-1).any() for z in draws(0.0, 20, highest=0.0))


def test_a_component_is_chosen_by_the_emotion():
  components = MIXTURES.components.mean.copy()
  components[:, 3] = 7.0
  mixtures = Mixtures(Normal(components, np.zeros_like(components)))
  np.testing.assert_allclose(mixtures.draw(EMOTION, 1.0, RNG), 7.0)
  half = 0.5 * EMOTION + 0.5 * np.eye(8)[0]
  blend = mixtures.draw(half, 1.0, np.random.default_rng(1))
  assert np.abs(blend - 3.5 - components[:, 0] / 2).max(-1).min() < 1e-6


def test_a_painter_without_latent_gets_none():
  assert latent.draw(CLIP, None, EMOTION, 0.5, 1.0, RNG) is CLIP.mean
