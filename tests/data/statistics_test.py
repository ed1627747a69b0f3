import json

import jax.numpy as jnp
import numpy as np
import pytest
import toy_records

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import statistics


def test_the_fit_is_that_of_all_rows_at_once():
  records = [toy_records.record(i) for i in range(7)]
  fitted = statistics.fit(records)
  for name in ('expression', 'motion', 'speech'):
    rows = np.concatenate([r[name] for r in records]).astype(np.float64)
    moments = getattr(fitted, name)
    np.testing.assert_allclose(moments.mean, rows.mean(0), atol=1e-12)
    np.testing.assert_allclose(moments.variance, rows.var(0), atol=1e-12)
    assert moments.count == len(rows)


def test_order_and_grouping_do_not_matter():
  one = [statistics.measure(toy_records.record(i)) for i in range(3)]
  left, right = one[0].merge(one[1]).merge(one[2]), one[2].merge(one[1].merge(one[0]))
  for a, b in zip(left, right, strict=True):
    np.testing.assert_allclose(a.mean, b.mean, rtol=1e-12)
    np.testing.assert_allclose(a.variance, b.variance, rtol=1e-10, atol=1e-15)


def test_frames_without_a_face_do_not_count():
  record = toy_records.record(0)
  spoilt = dict(record, expression=record['expression'].copy(), valid=record['valid'].copy())
  spoilt['expression'][3:5], spoilt['valid'][3:5] = 1e6, 0
  kept = np.delete(record['expression'], [3, 4], 0)
  np.testing.assert_allclose(statistics.measure(spoilt).expression.mean, kept.mean(0), rtol=1e-5)


@pytest.mark.parametrize('numbers', [np, jnp])
def test_unnormalize_undoes_normalize(numbers):
  moments = statistics.fit([toy_records.record(0)]).expression
  x = numbers.asarray(np.random.default_rng(0).random((2, 4, 50), dtype=np.float32))
  z = moments.normalize(x)
  assert float(abs(z).max()) > 0.5
  np.testing.assert_allclose(moments.unnormalize(z), x, atol=1e-5)
  assert z.dtype == np.float32


def test_a_constant_channel_stays_quiet():
  moments = statistics.Moments.of(np.full((9, 2), 0.25))
  assert np.abs(moments.normalize(np.full((3, 2), 0.2501))).max() < 0.2


def test_saved_numbers_come_back_exactly(tmp_path):
  fitted = statistics.fit([toy_records.record(0)])
  (tmp_path / 's.json').write_text(json.dumps(fitted.to_json()))
  loaded = statistics.load(tmp_path / 's.json')
  for a, b in zip(fitted, loaded, strict=True):
    np.testing.assert_array_equal(a.mean, b.mean)
    np.testing.assert_array_equal(a.variance, b.variance)
  (tmp_path / 's.json').write_text('{"motion"')
  with pytest.raises(InputError, match='no readable statistics'):
    statistics.load(tmp_path / 's.json')


def test_a_channel_that_never_moved_wakes_up():
  origin = statistics.Moments.of(np.stack([np.zeros(50), np.linspace(0, 1, 50)], 1))
  rows = np.stack([np.linspace(0.1, 0.3, 50), np.linspace(5, 6, 50)], 1)
  awake = origin.awakened(statistics.Moments.of(rows))
  seen = awake.normalize(rows)
  assert abs(seen[:, 0]).max() < 0.11  # thousands with the origin's own moments
  np.testing.assert_array_equal(seen[:, 1], origin.normalize(rows)[:, 1])
  assert awake.unnormalize(np.zeros(2))[0] == pytest.approx(rows[:, 0].mean())


def test_a_head_filmed_nearer_is_about_its_own_mean():
  near = dict(toy_records.record(1))
  near['motion'] = near['motion'] + np.where(np.arange(12) == 5, 1.8, 0.2).astype(np.float32)
  origin, own = statistics.fit([toy_records.record(0)]), statistics.fit([near])
  moved = origin.moved_to(own).motion
  place = [0, 1, 2, 3, 4, 5, 8, 9, 10, 11]
  np.testing.assert_array_equal(moved.mean[place], own.motion.mean[place])
  np.testing.assert_array_equal(moved.mean[6:8], origin.motion.mean[6:8])  # blinks are manner
  np.testing.assert_array_equal(moved.std, origin.motion.std)
