"""A head that is put where no painter saw it is counted."""

import numpy as np
import pytest

from gmtalker_jax.evaluation.metrics.placement import within

TRAINED = np.random.default_rng(0).normal(0, 0.05, (500, 6)) + np.array([0, 0, 0, 0, -0.2, 0.9])


def test_the_same_film_is_within():
  again = np.random.default_rng(1).normal(0, 0.05, (500, 6)) + TRAINED.mean(0)
  assert within(TRAINED, again) > 0.99


@pytest.mark.parametrize('number', range(6))
def test_one_number_far_away_is_enough_to_be_outside(number):
  moved = TRAINED + 0.6 * (np.arange(6) == number)
  assert within(TRAINED, moved) == 0
  half = np.concatenate([TRAINED, moved])
  assert within(TRAINED, half) == pytest.approx(0.5)
