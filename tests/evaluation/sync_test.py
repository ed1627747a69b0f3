"""The judge of lip-sync: what it counts, what it may not be moved by, and what it is worth."""

import numpy as np
import pytest
import tiny_records
import tiny_talker

from data_pipelines.procedural import people, perform, sentences
from gmtalker_jax import speech
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.evaluation import metrics, protocol
from gmtalker_jax.evaluation.metrics import sync
from gmtalker_jax.evaluation.study import Study
from gmtalker_jax.io import sync_judge
from gmtalker_jax.io.sync_judge import REACH, SHIFTS
from gmtalker_jax.models.lip_sync import WINDOW

NAMES = [m.name for m in sync.METRICS]
RNG = np.random.default_rng(0)


@pytest.fixture(scope='module')
def judge():
  return sync_judge.load()


@pytest.fixture
def clip(judge):
  return RNG.uniform(size=(60, 50)), RNG.normal(size=(120, len(judge.scale.sound)))


def peak(at, width=60):
  """An agreement [W, S] that is best at one shift in every window."""
  table = np.tile(-np.abs(SHIFTS - at) / 10.0, (width, 1))
  inside = np.arange(width)[:, None] + SHIFTS
  return np.where((inside >= 0) & (inside < width), table, np.nan)


@pytest.mark.parametrize('late', [-7, 0, 3])
def test_the_shift_of_the_best_agreement_is_the_offset(late):
  assert sync.offset(peak(late)) == 40 * late
  curve = -np.abs(SHIFTS - late) / 10
  assert sync.confidence(peak(late)) == pytest.approx(curve.max() - np.median(curve))


def test_preference_is_the_area_under_the_curve():
  assert sync.preferred(peak(0)) == 1
  assert sync.preferred(np.zeros((40, len(SHIFTS)))) == 0.5  # a tie is a half
  table = RNG.normal(size=(50, len(SHIFTS)))
  wrong = np.abs(SHIFTS) >= WINDOW
  by_hand = np.mean([[w < row[REACH] for w in row[wrong]] for row in table])
  assert sync.preferred(table) == pytest.approx(by_hand)
  near = peak(0)
  near[:, REACH + 1] = 9  # a shift of a frame is not wrong enough to count
  assert sync.preferred(near) == 1


def test_agreement_is_of_the_right_windows_and_shifts(judge, clip):
  table = judge.agreement(*clip)
  assert table.shape == (60 - WINDOW + 1, len(SHIFTS))
  known = np.isfinite(table)
  at = np.arange(56)[:, None] + SHIFTS
  np.testing.assert_array_equal(known, (at >= 0) & (at < 56))
  assert np.abs(table[known]).max() <= 1 + 1e-5
  # The sound turned by three frames: what was at shift 0 is at shift 3.
  late = judge.agreement(clip[0], np.roll(clip[1], 6, 0))
  np.testing.assert_allclose(late[10:40, REACH + 3], table[10:40, REACH], atol=1e-5)


def test_it_hears_whether_somebody_it_never_saw_is_in_time(judge):
  """A person who was not among the twelve that it learnt from, and sentences of the test split."""
  person, encoder = people.people(16)[14], speech.open(judge.encoder)
  tables, late = [], []
  for text, emotion in zip(sentences.split('test'), ('neutral', 'happy', 'angry'), strict=False):
    played = perform.perform(person, text, emotion, 2, 7)
    rows = encoder.encode(played.audio)
    tables.append(judge.agreement(played.expression, rows))
    late.append(judge.agreement(np.roll(played.expression, 5, 0), rows))
  assert np.mean([sync.preferred(table) for table in tables]) > 0.8
  assert all(sync.clip_preferred(table) > 0.95 for table in tables)
  assert [abs(sync.offset(table)) <= 40 for table in tables] == [True] * 3
  # Lips late by five frames are sound early by five.
  assert [abs(sync.offset(table) + 200) <= 40 for table in late] == [True] * 3


def test_a_smile_that_stays_and_a_loud_voice_are_nothing_to_it(judge, clip):
  expression, rows = clip
  resting = expression + RNG.normal(size=50)
  other = np.where(np.isin(np.arange(50), sync_judge.LIPS), resting, RNG.uniform(size=50))
  np.testing.assert_allclose(
    judge.agreement(other, rows + RNG.normal(size=rows.shape[1])),
    judge.agreement(expression, rows),
    atol=1e-4,
  )


def test_a_clip_that_is_too_short_and_a_damaged_file_are_refused(judge, clip, tmp_path):
  with pytest.raises(InputError, match='got a clip of 4 frames, expected at least 5'):
    judge.agreement(clip[0][:4], clip[1])
  sync_judge.save(tmp_path / 'j.npz', judge)
  again = sync_judge.load(tmp_path / 'j.npz')
  np.testing.assert_allclose(again.agreement(*clip), judge.agreement(*clip), atol=1e-6)
  params = {**judge.params, 'lip_out': {'bias': np.zeros(3)}}
  sync_judge.save(tmp_path / 'j.npz', judge._replace(params=params))
  with pytest.raises(InputError, match='expected those of a sync judge'):
    sync_judge.load(tmp_path / 'j.npz')


def test_talkers_are_judged_beside_the_truth(tmp_path, monkeypatch, judge):
  records = tiny_records.write(tmp_path / 'r', judge.encoder, frames=2 * REACH + 8)
  found = protocol.evaluate(Study(tiny_talker.talker(encoder=judge.encoder), records), NAMES)
  assert {'talker', 'truth', 'mean face', 'truth, 0.2 s late'} <= set(found['rows'])
  assert found['rows']['mean face']['sync_preference'] == pytest.approx(0.5)  # it never moves
  assert found['protocol']['judges']['lip_sync']


def test_features_that_it_does_not_know_leave_it_out(tmp_path):
  records = tiny_records.write(tmp_path / 'r', 'logmel')
  said = []
  talker = tiny_talker.talker(encoder='logmel')
  found = protocol.evaluate(Study(talker, records, progress=said.append), NAMES[:1])
  assert found['sync_preference'] is None
  assert any('no lip-sync: its judge hears logmel+embedding' in line for line in said)


def test_the_names_are_registered_and_the_lips_are_lips():
  assert set(NAMES) <= metrics.METRICS.keys()
  named = [schema.EXPRESSION_NAMES[i] for i in sync_judge.LIPS]
  assert 'jawOpen' in named
  assert len(named) == 27
  assert not any(n.startswith(('brow', 'eye', 'nose')) for n in named)
