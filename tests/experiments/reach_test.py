"""How far people move what the head moves: found again in people who move it twice as far."""

import numpy as np
import pytest

from data_pipelines import fit
from experiments import reach
from gmtalker_jax.data import schema
from gmtalker_jax.face.landmark_model import LandmarkModel
from gmtalker_jax.io import heads

UNITS = ('browDown', 'browInnerUp', 'browOuterUp', 'jawOpen', 'mouthUpperUp', 'mouthPucker')
TWICE = 'browOuterUp'


@pytest.fixture(scope='module')
def model():
  return LandmarkModel.of(heads.load_head())


def _clip(model: LandmarkModel, seed: int, factor: float) -> reach.Clip:
  rng, columns = np.random.default_rng(seed), reach.pairs()
  scores, motion = np.zeros((24, 52), np.float32), np.zeros((24, 12), np.float32)
  for unit in UNITS:
    scores[:, columns[unit]] = rng.uniform(0, 0.9, (24, 1))
  motion[:, schema.ROTATION] = rng.normal(0, 0.06, (24, 3))
  weights = reach.SCORES * scores
  weights[:, columns[TWICE]] *= factor
  return reach.Clip('Ann', fit.landmarks(model, np.zeros(80), weights, motion), scores)


@pytest.mark.parametrize('factor', [1.0, 2.0])
def test_a_unit_that_reaches_farther_is_found(model, factor):
  found = reach.reach(reach.moments(model, [_clip(model, seed, factor) for seed in range(2)]))
  known = dict(zip(reach.pairs(), found, strict=True))
  assert known[TWICE] == pytest.approx(factor, abs=0.25)
  for unit in set(UNITS) - {TWICE}:
    assert known[unit] == pytest.approx(1, abs=0.25), unit
  assert np.isnan(known['tongueOut'])  # nothing is known of what never moves
