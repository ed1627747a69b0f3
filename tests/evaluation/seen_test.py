"""Judges of pictures in a study: what they count, and what happens where they are missing."""

import numpy as np
import pytest
import tiny_records
import tiny_talker

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.evaluation import metrics, protocol
from gmtalker_jax.evaluation.metrics import seen
from gmtalker_jax.evaluation.sample import interval, value
from gmtalker_jax.evaluation.study import Study
from gmtalker_jax.io import carriers
from gmtalker_jax.io.emotion_judges import Judge

# Sees how bright a picture is: dark is neutral, bright is happy.
JUDGE = Judge(('neutral', 'happy'), 8, (1.0, 0.0), lambda faces: np.stack(
  [1 - faces.mean((1, 2, 3)) / 255, faces.mean((1, 2, 3)) / 255], 1
))  # fmt: skip
NAMES = [m.name for m in seen.METRICS if 'emotion_fer' in m.name]


@pytest.fixture(scope='module')
def records(tmp_path_factory):
  return tiny_records.write(tmp_path_factory.mktemp('seen') / 'r', tiny_talker.ENCODER, frames=12)


def verdict(emotion, happy, sound=0):
  return seen.Verdict(emotion, sound, np.array([1 - happy, happy]))


def test_a_clip_is_right_where_its_mean_says_so():
  clips = [verdict('happy', 0.9), verdict('happy', 0.2), verdict('neutral', 0.1)]
  assert value(seen.named(JUDGE, clips)) == pytest.approx(2 / 3)
  table = seen.confusion(JUDGE, clips)
  assert table['happy']['happy'] == table['happy']['neutral'] == 1
  assert table['neutral'] == {name: int(name == 'neutral') for name in table}
  assert 'contempt' not in table
  assert seen.confusion(JUDGE, []) == {}


def test_direction_is_against_the_same_sound_spoken_neutrally():
  neutral = [verdict('neutral', 0.1, 0), verdict('neutral', 0.5, 1)]
  weak = [verdict('happy', 0.2, 0), verdict('happy', 0.4, 1)]  # more than 0.1, less than 0.5
  assert value(seen.named(JUDGE, weak)) == 0
  found = seen.moved(JUDGE, neutral + weak)
  assert found.saved() == {'0': [1.0], '1': [0.0]}
  assert seen.moved(JUDGE, neutral) is None


def test_a_number_has_an_interval_over_sounds():
  clips = [verdict(e, h, i) for i in range(4) for e, h in (('happy', 0.3 * i), ('neutral', 0.2))]
  found = seen.named(JUDGE, clips)
  assert found.clips == ('0', '1', '2', '3')
  low, high = interval(found)
  assert value(found) == pytest.approx(0.75)
  assert low < 0.75 < high


def test_sounds_of_unlabelled_records_are_spoken_in_all_but_contempt(records):
  study = Study(tiny_talker.talker(), None, portrait_records=records)
  spoken = seen.spoken(study)
  for where in ('portrait', 'rendering'):
    clips = spoken[where]
    assert {c.emotion for c in clips} == set(schema.EMOTIONS) - {'contempt'}
    assert len(clips) == 7 * 4  # the four test clips of M001
    assert all(c.pictures.shape[:1] == c.landmarks.shape[:1] == (3,) for c in clips)  # 0, 5, 10
  first = spoken['rendering'][0]
  lit, at = first.pictures[0].max(-1) > 0, first.landmarks[0].round().astype(int)
  assert lit[at[:, 1], at[:, 0]].mean() > 0.8  # the landmarks lie on the head


def test_the_ceiling_counts_the_persons_clips_at_full_intensity(records):
  study = Study(tiny_talker.talker(), None, portrait_records=records)
  # Of the clips 0, 2, 4, 6 of M001 in each split, 2 is at level 3.
  assert [clip.emotion for clip in seen.recorded(study)] == [schema.EMOTIONS[2]] * 2


def test_a_judge_that_is_missing_is_said_and_nothing_is_measured(records, monkeypatch):
  monkeypatch.setattr(carriers.importlib.util, 'find_spec', lambda name: None)
  said = []
  study = Study(tiny_talker.talker(), None, portrait_records=records, progress=said.append)
  found = protocol.evaluate(study, NAMES)
  assert len(NAMES) == 4
  assert all(found[name] is None for name in NAMES)
  assert found['emotion_fer_confusion'] == {}
  (line,) = said  # nothing was spoken for nobody to judge
  assert 'no emotion_fer: got no network' in line
  assert line.endswith('left out')
  assert not any(name in ' '.join(protocol.lines(found)) for name in NAMES)


def test_records_of_another_encoder_or_person_are_refused(records):
  talker = tiny_talker.talker()
  study = Study(talker._replace(speech_encoder='embedding'), None, portrait_records=records)
  with pytest.raises(InputError, match='prepare again'):
    seen.spoken(study)
  study = Study(talker._replace(subject='X'), None, portrait_records=records)
  with pytest.raises(InputError, match="no test clip of 'X'"):
    seen.spoken(study)


def test_both_judges_have_the_same_four_numbers():
  assert [n.replace('fer', 'faceapi') for n in NAMES] == [
    m.name for m in seen.METRICS if m.name not in NAMES
  ]
  assert all(name in metrics.METRICS for name in NAMES)
