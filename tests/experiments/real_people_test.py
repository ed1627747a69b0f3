"""Yardsticks on real people: r is Pearson's, nobody is judged by what was learnt of him or her."""

import numpy as np
from scipy import stats

from experiments import emotion_judges, real_people
from experiments.emotion_judges import Seen


def test_agreement_is_pearsons_r_where_the_truth_moves():
  rng = np.random.default_rng(0)
  truth, made = rng.uniform(size=(2, 90, 3))
  made[:, 0] += 2 * truth[:, 0]
  truth[:, 2] = 0.5 + 0.001 * truth[:, 2]
  found = real_people.agreement(truth, made)
  expected = [stats.pearsonr(truth[:, i], made[:, i]).statistic for i in (0, 1)]
  np.testing.assert_allclose(found[:2], expected, rtol=1e-9)
  assert np.isnan(found[2])
  assert abs(real_people.agreement(truth, np.full_like(made, 0.3))[0]) < 1e-9  # a still face


def test_the_table_has_a_line_for_each_person_and_the_mean():
  rows = np.full((2, 50), 0.5), np.full((2, 50), 0.25)
  found = {
    'a': {'x': rows[0][0], 'y': rows[1][0]},
    'b': {'x': np.where(np.arange(50) == 7, np.nan, 0.1), 'y': rows[1][1]},
  }
  lines = real_people.table(found).splitlines()
  assert lines[2] == '| a | 0.500 (0.50) | 0.250 (0.25) |'
  assert lines[-1] == '| mean | 0.300 | 0.250 |'


def seen(subject, emotion, *values):
  face = np.zeros(50, np.float32)
  face[: len(values)] = values
  moving = 0.01 * np.random.default_rng(0).normal(size=(9, 1))
  return Seen(subject, emotion, face + moving, {})


def test_a_resting_face_is_no_emotion_once_it_is_taken_off():
  """B rests with A's smile: only what is relative tells B's neutral from A's happy."""
  clips = [
    seen('A', 'neutral', 0, 0), seen('A', 'happy', 0.5, 0), seen('A', 'sad', 0, 0.5),
    seen('B', 'neutral', 0.5, 0), seen('B', 'happy', 1, 0), seen('B', 'sad', 0.5, 0.5),
  ]  # fmt: skip
  named = emotion_judges.left_out(clips, [])
  for judge in ('relative', 'relative, centroid'):
    assert [n[judge] for n in named] == ['neutral', 'happy', 'sad'] * 2
  assert named[3]['coefficients'] == 'happy'
