"""A made-up file in the form of BFM_model_front.mat: read, moved, rendered."""

import numpy as np
import pytest
from made_up_faces import bfm as arrays
from made_up_faces import bfm_coefficients as coefficients

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.face import bfm, camera, morphable, render
from gmtalker_jax.io import bfm as files
from gmtalker_jax.types import Coefficients

sio = pytest.importorskip('scipy.io')


def write(path, values):
  sio.savemat(path, values)
  return path


def test_vertices_are_those_of_the_formula(tmp_path):
  given, coeff = arrays(), coefficients()
  model = files.load(write(tmp_path / 'BFM_model_front.mat', given))
  head, person, motion = bfm.read(model, coeff)
  shape = given['meanshape'].reshape(-1, 3)
  shape = shape - shape.mean(0)
  x, y, z = coeff[1, 224:227]
  cx, sx, cy, sy, cz, sz = np.cos(x), np.sin(x), np.cos(y), np.sin(y), np.cos(z), np.sin(z)
  turn = (
    np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    @ np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
  )
  moved = (
    shape.reshape(-1) + given['idBase'] @ coeff[:, :80].mean(0) + given['exBase'] @ coeff[1, 80:144]
  )
  expected = moved.reshape(-1, 3) @ turn.T + coeff[1, 254:]
  one = Coefficients(motion.expression[1], motion.motion[1])
  made = render.posed(head, person.identity, one)
  np.testing.assert_allclose(model.unit * np.asarray(made), expected, atol=1e-5)
  # Its camera: 10 of its lengths away, 1015 pixels of focal length at 224.
  projected = camera.project(model.camera, made, 224)
  np.testing.assert_allclose(
    projected[:, 0], 112 + 1015 * expected[:, 0] / (10 - expected[:, 2]), atol=1e-2
  )
  np.testing.assert_allclose(morphable.landmarks(head, made), np.asarray(made)[:68], atol=1e-6)


def test_a_clip_is_rendered_with_its_colours_and_light(tmp_path):
  given = arrays()
  turned = given | {'tri': given['tri'][:, ::-1]}
  pictures = []
  for values in (given, turned):
    model = files.load(write(tmp_path / 'f.mat', values))
    head, person, motion = bfm.read(model, coefficients())
    assert person.light.shape == (9, 3)
    one = Coefficients(motion.expression[0], motion.motion[0])
    pictures.append(render.render(head, person, one, 64, model.camera))
  assert 0.2 < float(pictures[0].mask.mean()) < 0.9
  assert float(pictures[0].rgb.std()) > 0.1
  np.testing.assert_allclose(pictures[0].rgb, pictures[1].rgb, atol=1e-5)  # outwards either way
  frames = render.render_frames(head, person, motion, 32)
  assert frames.shape == (3, 32, 32, 3)
  assert frames.std() > 5
  assert (motion.expression.shape[1], motion.motion.shape[1]) == tuple(
    len(names) for names in schema.LAYOUTS['bfm'][1:]
  )


@pytest.mark.parametrize(
  ('change', 'match'),
  [
    (lambda v: v.pop('exBase'), r'got exBase \[0\]'),
    (lambda v: v.update(idBase=v['idBase'][:, :79]), 'got idBase'),
    (lambda v: v.update(tri=v['tri'] + 1000), 'name no vertex'),
    (lambda v: v.update(keypoints=np.array([[0.0]])), 'name no vertex'),
    (lambda v: v.update(meanshape=v['meanshape'] * np.nan), 'got meanshape'),
    (lambda v: v.clear(), 'got meanshape'),
  ],
)
def test_other_files_are_refused_with_one_line(tmp_path, change, match):
  values = arrays()
  change(values)
  with pytest.raises(InputError, match=match) as caught:
    files.load(write(tmp_path / 'f.mat', values))
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  'coeff', [np.zeros((0, 257)), np.zeros((3, 256)), np.full((1, 257), np.inf)]
)
def test_other_coefficients_are_refused(tmp_path, coeff):
  model = files.load(write(tmp_path / 'f.mat', arrays()))
  with pytest.raises(InputError, match='expected finite'):
    bfm.read(model, coeff)
