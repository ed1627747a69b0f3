"""A person filmed in one mood is acted in the others, and stays the person."""

import numpy as np
import pytest

from gmtalker_jax import speech
from gmtalker_jax.data import schema
from gmtalker_jax.inference import acting, talker

RNG = np.random.default_rng(0)
FRAMES = 40
COLUMN = {name: i for i, name in enumerate(schema.EXPRESSION_NAMES)}


@pytest.fixture(scope='module')
def who():
  return talker.load('builtin')


def clip(who, name, emotion=''):
  wave = (0.1 * RNG.standard_normal(FRAMES * schema.SAMPLES_PER_FRAME)).astype(np.float32)
  return {
    'id': name,
    'emotion': emotion,
    'level': 0,
    'speech': speech.encode(wave, who.speech_encoder),
    'expression': RNG.uniform(0.05, 0.3, (FRAMES, 50)).astype(np.float32),
    'motion': RNG.normal(size=(FRAMES, 12)).astype(np.float32),
    'frames': [b'a picture'] * FRAMES,
    'renderings': [b'a picture'] * FRAMES,
  }


def test_a_smile_is_added_to_what_the_person_does(who):
  record = clip(who, 'a')
  smiling = acting.act(who, record, 'happy', 0)
  change = smiling['expression'] - record['expression']
  assert change[10:, COLUMN['mouthSmileLeft']].mean() > 0.3
  assert np.abs(change[:, COLUMN['browDownLeft']]).mean() < 0.1
  assert (smiling['emotion'], smiling['level']) == ('happy', 3)
  for name in ('speech', 'motion'):
    assert smiling[name] is record[name]
  assert smiling['frames'] == smiling['renderings'] == []
  # What varies is still the person's: between the frames little else changes.
  for name in ('jawOpen', 'mouthPucker'):
    both = record['expression'][:, COLUMN[name]], smiling['expression'][:, COLUMN[name]]
    assert np.corrcoef(*both)[0, 1] > 0.7


def test_strength_scales_the_change_until_a_muscle_is_at_its_end(who):
  record = clip(who, 'a')
  faint, whole, much = (
    acting.act(who, record, 'happy', 0, s)['expression'] - record['expression']
    for s in (0.3, 0.6, 3.0)
  )
  free = (record['expression'] + whole > 0) & (record['expression'] + whole < 1)
  assert free.mean() > 0.5
  np.testing.assert_allclose(whole[free], 2 * faint[free], atol=1e-6)
  assert (np.abs(much) >= np.abs(whole) - 1e-6).all()
  assert (record['expression'] + much).max() <= 1


def test_neutral_is_the_person(who):
  record = clip(who, 'a')
  found = acting.act(who, record, 'neutral', 0)
  np.testing.assert_array_equal(found['expression'], record['expression'])


def test_emotions_that_were_filmed_are_not_acted(who):
  records = [clip(who, 'a'), clip(who, 'b', 'sad')]
  found = list(acting.performances(who, records))
  assert [r['emotion'] for r in found if r['id'] == 'b'] == ['sad']
  acted = [r['emotion'] for r in found if r['id'] != 'b']
  assert sorted(acted) == sorted(set(schema.EMOTIONS) - {'sad'})
  assert len({r['id'] for r in found}) == len(found)
  assert not any(r['frames'] for r in found)


def test_parts_show_each_frame_once_in_another_emotion(who):
  record = clip(who, 'a')
  pairs = list(acting.parts(who, record, ('happy', 'sad', 'angry'), 1))
  assert [played['emotion'] for _, played in pairs] == ['sad', 'angry', 'happy']
  for name in ('expression', 'motion', 'speech', 'frames'):
    joined = [row for filmed, _ in pairs for row in filmed[name]]
    assert len(joined) == len(record[name])
    assert all(np.array_equal(one, other) for one, other in zip(joined, record[name], strict=True))
  _, sad = pairs[0]
  whole = acting.act(who, record, 'sad', 1)['expression']
  np.testing.assert_array_equal(sad['expression'], whole[: len(sad['expression'])])
  assert len(sad['speech']) == 2 * len(sad['expression'])


def test_of_a_clip_with_an_emotion_or_of_one_frame_parts_are_what_there_is(who):
  assert not list(acting.parts(who, clip(who, 'b', 'sad'), ('happy',), 0))
  short = schema.part(clip(who, 'c'), 0, 2)
  pairs = list(acting.parts(who, short, acting.missing([short]), 0))
  assert [len(played['expression']) for _, played in pairs] == [1, 1]
