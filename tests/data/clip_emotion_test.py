"""One function decides what emotion a clip shows; no network ever gets zeros."""

import numpy as np
import pytest

from gmtalker_jax.data import emotion, schema

RNG = np.random.default_rng(0)


def test_levels_are_shares_of_an_emotion():
  happy, neutral = schema.EMOTIONS.index('happy'), schema.NEUTRAL
  for level in (1, 2, 3):
    weights = emotion.label('happy', level)
    assert weights[happy] == pytest.approx(level / 3)
    assert weights[neutral] == pytest.approx(1 - level / 3, abs=1e-6)
    assert weights.sum() == pytest.approx(1)
  assert emotion.label('happy', 1, soft_levels=False)[happy] == 1
  assert emotion.label('happy', 0)[happy] == 1  # level unknown
  assert emotion.label('neutral', 1)[neutral] == pytest.approx(1)


def test_a_label_draws_nothing():
  rng = np.random.default_rng(7)
  found = emotion.of({'emotion': 'sad', 'level': 3}, rng)
  assert found.labelled
  assert found.weights[schema.EMOTIONS.index('sad')] == 1
  assert rng.integers(1000) == np.random.default_rng(7).integers(1000)


def test_no_weights_for_comparison():
  found = emotion.of({'emotion': '', 'level': 0}, RNG, unknown_emotion=0.0)
  assert not found.labelled
  assert not found.weights.any()


@pytest.mark.parametrize('concentration', [0.3, 3.0])
def test_an_unknown_emotion_is_drawn_from_the_simplex(concentration):
  drawn = [
    emotion.of({'emotion': '', 'level': 0}, RNG, unknown_emotion=concentration) for _ in range(2000)
  ]
  weights = np.stack([d.weights for d in drawn])
  assert not any(d.labelled for d in drawn)
  np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
  assert (weights >= 0).all()
  # The mean of a symmetric Dirichlet is the middle; its variance (1 - 1/K) / (K (K a + 1)).
  count = len(schema.EMOTIONS)
  np.testing.assert_allclose(weights.mean(0), 1 / count, atol=0.02)
  variance = (1 - 1 / count) / (count * (count * concentration + 1))
  np.testing.assert_allclose(weights.var(0), variance, rtol=0.15)
