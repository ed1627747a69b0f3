import warnings

import numpy as np
import pytest
from scipy import stats

from gmtalker_jax.evaluation import sample
from gmtalker_jax.evaluation.sample import Sample

RNG = np.random.default_rng(0)


def _of(values):
  return Sample.of([f'c{i}' for i in range(len(values))], values)


def test_intervals_are_those_of_scipy():
  values = RNG.gamma(2.0, size=(40, 2))
  for combine, statistic, data in (
    (sample.first, np.mean, (values[:, 0],)),
    (sample.ratio, lambda a, b, axis: a.mean(axis) / b.mean(axis), tuple(values.T)),
  ):
    theirs = stats.bootstrap(
      data, statistic, n_resamples=20_000, paired=True, method='percentile', rng=RNG
    ).confidence_interval
    ours = sample.interval(_of(values), combine)
    width = theirs.high - theirs.low
    np.testing.assert_allclose(ours, theirs, atol=0.06 * width)  # two draws of one law
    assert ours.low < sample.value(_of(values), combine) < ours.high


def test_an_interval_holds_the_truth_as_often_as_it_says():
  held = 0
  for _ in range(200):
    low, high = sample.interval(_of(RNG.normal(size=50)))
    held += low < 0 < high
  assert 0.89 <= held / 200 <= 0.99


def test_pairs_of_clips_tell_what_two_intervals_cannot():
  hard = RNG.normal(0, 10, 30)  # how hard a clip is, for both
  a, b = _of(hard), _of(hard + 1 + RNG.normal(0, 0.1, 30))
  first, second = sample.interval(a), sample.interval(b)
  assert first.high > second.low  # they overlap
  found, about, clips = sample.difference(a, b)
  assert found == pytest.approx(1, abs=0.1)
  assert 0.8 < about.low < found < about.high < 1.2
  assert clips == 30


def test_only_shared_clips_are_compared_whatever_their_order():
  a = Sample(('x', 'y', 'z', 'only a'), np.array([[1.0], [2.0], [3.0], [90.0]]))
  b = Sample(('z', 'only b', 'y', 'x'), np.array([[4.0], [70.0], [3.0], [2.0]]))
  found, about, clips = sample.difference(a, b)
  assert (found, about, clips) == (1.0, pytest.approx((1.0, 1.0)), 3)
  assert sample.difference(a, Sample(('w',), np.ones((1, 1)))) == (None, None, 0)


def test_a_clip_that_comes_again_counts_once():
  found = Sample.of(['a', 'b', 'a'], [1.0, 5.0, 3.0])
  assert found.clips == ('a', 'b')
  assert sample.value(found) == 3.5
  again = Sample.read(found.saved())
  assert again.clips == found.clips
  np.testing.assert_array_equal(again.values, found.values)


def test_what_the_clips_do_not_define_is_none():
  nothing = _of(np.array([[0.0, 0.0]] * 5))
  with warnings.catch_warnings(action='error'):
    assert sample.value(nothing, sample.ratio) is None
    assert sample.interval(nothing, sample.ratio) is None
  assert sample.interval(_of([1.0, 2.0])) is None  # of two clips nothing is told
