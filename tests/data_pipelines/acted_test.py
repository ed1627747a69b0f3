"""A person that our own renderer films shows what a bent photograph should have been."""

import dataclasses

import cv2
import numpy as np
import pytest

from data_pipelines import acted, prepare
from gmtalker_jax.data import schema, source
from gmtalker_jax.face import light, render, warp
from gmtalker_jax.face.person import Person
from gmtalker_jax.io.heads import load_head
from gmtalker_jax.types import Coefficients

SIZE, FRAMES = 128, 3
RNG = np.random.default_rng(3)
COLUMN = {name: i for i, name in enumerate(schema.EXPRESSION_NAMES)}
ANGRY = {'browDownLeft': 0.9, 'browDownRight': 0.9, 'mouthFrownLeft': 0.7, 'mouthFrownRight': 0.7}
LAUGHING = {'mouthSmileLeft': 0.9, 'mouthSmileRight': 0.9, 'jawOpen': 0.5, 'mouthUpperUpLeft': 0.6}


@pytest.fixture(scope='module')
def head():
  return load_head()


@pytest.fixture(scope='module')
def person():
  spots = RNG.uniform(0.3, 0.8, (24, 24, 3)).astype(np.float32)
  flat = np.zeros(9, np.float32)
  flat[0] = 0.9  # the same light from everywhere: skin keeps its brightness when it bends
  skin = cv2.resize(spots, (256, 256), interpolation=cv2.INTER_CUBIC)
  return dataclasses.replace(Person.plain(np.zeros(80, np.float32)), texture=skin, light=flat)


def clip(**muscles):
  expression = np.zeros((FRAMES, 50), np.float32)
  expression[:, [COLUMN[name] for name in muscles]] = list(muscles.values())
  motion = np.zeros((FRAMES, 12), np.float32)
  motion[:, 1] = [-0.2, 0.0, 0.2]
  return {
    'expression': expression,
    'motion': motion,
    'sway': np.zeros((FRAMES, 8), np.float32),
    'identity': np.zeros(80, np.float32),
  }


def filmed(person, record):
  return prepare.rendered(record, slice(None), SIZE, person)


@pytest.mark.parametrize('muscles', [ANGRY, LAUGHING], ids=['angry', 'laughing'])
def test_a_bent_photograph_is_what_would_have_been_filmed(head, person, muscles):
  before, after = clip(), clip(**muscles)
  photographs, truth = filmed(person, before), filmed(person, after)
  own = render.personal(head, person)
  for k in range(FRAMES):
    pair = (Coefficients(c['expression'][k], c['motion'][k]) for c in (before, after))
    found = warp.warp(own, person.light, *pair, SIZE)
    bent = acted.bend(photographs[k], np.full_like(truth[k], 255), found)
    seen = np.asarray(found.seen)
    apart = np.abs(bent.astype(float) - truth[k])[seen].mean()
    unbent = np.abs(photographs[k].astype(float) - truth[k])[seen].mean()
    assert apart < 0.35 * unbent
    hidden = np.asarray(found.head) & ~seen
    assert hidden.mean() < 0.02
    if muscles is LAUGHING:  # the inside of the mouth is that of the rendering, here white
      assert bent[hidden].mean() > 180


def test_what_turns_away_from_the_light_becomes_darker(head, person):
  """Of a light from above: our renderer's shading is found again, at a power of 1."""
  lit = dataclasses.replace(person, light=light.DEFAULT_LIGHT)
  before, after = clip(), clip(**ANGRY, noseSneerLeft=0.8, noseSneerRight=0.8)
  photographs, truth = filmed(lit, before), filmed(lit, after)
  pair = (Coefficients(c['expression'][1], c['motion'][1]) for c in (before, after))
  found = warp.warp(render.personal(head, lit), lit.light, *pair, SIZE)
  seen, shading = np.asarray(found.seen), np.asarray(found.gain)[..., 0]
  changed = seen & (np.abs(shading - 1) > 0.1)
  assert changed.sum() > 30
  without, once, usual = (
    np.abs(acted.bend(photographs[1], truth[1], found, power) - truth[1].astype(float))[changed]
    for power in (0.0, 1.0, acted.CREASE)
  )
  assert once.mean() < 0.75 * without.mean()
  assert usual.mean() < without.mean()


def test_far_from_the_head_a_photograph_stays(head, person):
  before, after = clip(), clip(**LAUGHING)
  photograph = RNG.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
  pair = (Coefficients(c['expression'][0], c['motion'][0]) for c in (before, after))
  found = warp.warp(render.personal(head, person), person.light, *pair, SIZE)
  bent = acted.bend(photograph, photograph, found)
  np.testing.assert_array_equal(bent[:, :8], photograph[:, :8])
  np.testing.assert_array_equal(bent[:, -8:], photograph[:, -8:])
  assert (bent != photograph).any()


def test_a_record_gets_pictures_of_its_own_face(head, person):
  record, played = clip(), clip(**LAUGHING)
  pictures = filmed(person, record)
  record |= {'frames': [prepare.png(picture) for picture in pictures]}
  found = acted.pictured(record, played, head, person)
  assert len(found['frames']) == len(found['renderings']) == FRAMES
  truth = filmed(person, played)
  for k in range(FRAMES):
    np.testing.assert_array_equal(source.decode(found['renderings'][k]), truth[k])
    unbent, bent = (
      np.abs(picture.astype(float) - truth[k])
      for picture in (pictures[k], source.decode(found['frames'][k]))
    )
    moved = unbent > 20
    assert bent[moved].mean() < 0.5 * unbent[moved].mean()
