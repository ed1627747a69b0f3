import functools

import numpy as np
import pytest

from data_pipelines.procedural import lips, sentences, visemes
from data_pipelines.procedural.people import people
from data_pipelines.procedural.perform import perform
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.face import morphable
from gmtalker_jax.io.heads import load_head
from gmtalker_jax.types import Coefficients

PEOPLE = people(4)
TRAIN = sentences.split('train')
COLUMN = {name: i for i, name in enumerate(schema.EXPRESSION_NAMES)}


@functools.cache
def clip(person, text, emotion, level, seed=0):
  return perform(PEOPLE[person], TRAIN[text], emotion, level, seed)


@functools.cache
def gap_of_each_weight():
  """The gap at rest and with each weight at 1; the head is linear in them."""
  head, expression = load_head(), np.concatenate([np.zeros((1, 50)), np.eye(50)]).astype('f')
  full = morphable.blendshapes(Coefficients(expression, np.zeros((51, 12), np.float32)))
  identity, gaze = np.zeros((51, 80), np.float32), np.zeros((51, 4), np.float32)
  marks = morphable.landmarks(head, morphable.vertices(head, identity, full, gaze))
  gap = np.asarray(marks[:, 13, 1] - marks[:, 14, 1])
  return gap[0], gap[1:] - gap[0]


def inner_lip_gap(expression):
  rest, each = gap_of_each_weight()
  return rest + expression @ each


def middles(clip_):
  return (np.arange(len(clip_.expression)) + 0.5) / schema.FRAME_RATE


def test_shapes_and_range():
  p = clip(0, 0, 'happy', 3)
  frames = schema.frame_count(len(p.audio))
  assert p.expression.shape == (frames, 50)
  assert p.motion.shape == (frames, 12)
  assert {a.dtype for a in (p.audio, p.expression, p.motion)} == {np.dtype(np.float32)}
  assert p.expression.min() >= 0
  assert p.expression.max() <= 1


def test_deterministic_and_seeded():
  a, b = (perform(PEOPLE[1], TRAIN[0], 'sad', 2, 5) for _ in range(2))
  for x, y in zip(a[:3], b[:3], strict=True):
    np.testing.assert_array_equal(x, y)
  other = perform(PEOPLE[1], TRAIN[0], 'sad', 2, 6)
  frames = min(len(a.motion), len(other.motion))
  assert np.abs(a.motion[:frames, :3] - other.motion[:frames, :3]).mean() > 0.01


@pytest.mark.parametrize('emotion', schema.EMOTIONS)
def test_lips_close_on_p_b_m(emotion):
  rest, closures = gap_of_each_weight()[0], 0
  for text in (0, 1, 12):
    p = clip(text % 4, text, emotion, 3)
    gap, time = inner_lip_gap(p.expression), middles(p)
    for phoneme in p.phonemes:
      if visemes.sound(phoneme) in ('p', 'b', 'm'):
        start, end = visemes.closure_span(phoneme)
        inside = (time >= start) & (time <= end)
        assert inside.any()
        assert (gap[inside] < rest).all()
        assert (gap[inside] > -0.001).all()  # and do not go through each other
        closures += 1
    assert gap.max() > rest + 0.03
  assert closures >= 6


def test_lower_lip_meets_the_teeth_on_f_v():
  track = visemes.articulate([visemes.Phoneme(0.3, 0.4, 'f'), visemes.Phoneme(0.4, 0.6, 'ɑː')], 25)
  gap = inner_lip_gap(lips.seal(track.weights, track.closure, track.labiodental).astype('f'))
  assert track.labiodental[8] == 1
  assert gap[8] < gap[0] + 0.01 < gap[12] - 0.04
  assert track.weights[8, COLUMN['mouthRollLower']] > 0.4


def test_closed_in_silence():
  for text in range(6):
    p = clip(text % 4, text, 'neutral', 1)
    time = middles(p)
    silent = (time < p.phonemes[0].start - 0.12) | (time > p.phonemes[-1].end + 0.14)
    assert silent.any()
    assert p.expression[silent, COLUMN['jawOpen']].max() <= 0.02


def test_louder_opens_wider_and_rounding_comes_early():
  said = [visemes.Phoneme(0.3, 0.4, 's'), visemes.Phoneme(0.4, 0.5, 't'),
          visemes.Phoneme(0.5, 0.7, 'uː')]  # fmt: skip
  quiet, loud = (visemes.articulate(said, 25, loudness=d).weights for d in (0, 6))
  assert (loud.max(0)[COLUMN['jawOpen']] > 1.2 * quiet.max(0)[COLUMN['jawOpen']]).all()
  assert quiet[10, COLUMN['mouthPucker']] > 0.05  # during the t already
  without = visemes.articulate([*said[:2], visemes.Phoneme(0.5, 0.7, 'iː')], 25).weights
  assert without[10, COLUMN['mouthPucker']] < 0.01


def test_unknown_emotion_and_level():
  for emotion, level in (('joy', 1), ('happy', 0), ('happy', 4)):
    with pytest.raises(InputError):
      perform(PEOPLE[0], TRAIN[0], emotion, level, 0)


def test_people_are_stable_and_agree():
  assert people(2)[1].name == people(4)[1].name == 'M002'
  np.testing.assert_array_equal(people(2)[1].identity, people(4)[1].identity)
  head = load_head()
  identity = np.stack([p.identity for p in people(12)])
  faces = np.asarray(head.mean)[None] + np.einsum('pi,ivc->pvc', identity, head.identity)
  marks = np.asarray(morphable.landmarks(head, faces))
  size = np.linalg.norm(marks[:, 33] - marks[:, 263], axis=1)
  jaw = np.linalg.norm(marks[:, 172] - marks[:, 397], axis=1) / size
  women = np.array([p.name.startswith('W') for p in people(12)])
  assert jaw[~women].mean() > jaw[women].mean()  # men's jaws are wider
  with pytest.raises(InputError):
    people(0)
