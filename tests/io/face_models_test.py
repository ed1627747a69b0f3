"""Made-up files in the forms of FaceVerse v3 and GNM: read, moved, rendered, as every head is."""

import dataclasses
import itertools

import jax
import made_up_faces
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.face import camera, faceverse, morphable, render
from gmtalker_jax.face.landmark_model import LandmarkModel
from gmtalker_jax.face.person import Person
from gmtalker_jax.io import heads
from gmtalker_jax.types import Coefficients

sio = pytest.importorskip('scipy.io')


def written(folder, kind):
  """A made-up file of a kind."""
  values = getattr(made_up_faces, kind)()
  path = folder / {'bfm': 'f.mat', 'faceverse': 'f.npy', 'gnm': 'f.npz'}[kind]
  {'bfm': sio.savemat, 'faceverse': np.save, 'gnm': lambda p, v: np.savez(p, **v)}[kind](
    path, values
  )
  return str(path)


@pytest.fixture(scope='module')
def models(tmp_path_factory):
  folder = tmp_path_factory.mktemp('faces')
  return {k: heads.load(written(folder, k)) for k in ('bfm', 'faceverse', 'gnm')} | {
    'builtin': heads.load()
  }


def at_rest(model, frames=2):
  layout = schema.LAYOUTS[model.layout]
  shape = lambda names: np.zeros((frames, len(names)), np.float32)  # noqa: E731
  return Coefficients(shape(layout.expression), shape(layout.motion))


KINDS = ('builtin', 'bfm', 'faceverse', 'gnm')


@pytest.mark.parametrize('kind', KINDS)
def test_every_kind_is_rendered_by_the_same_words(models, kind):
  model = models[kind]
  who = Person.plain(np.zeros(len(model.head.identity), np.float32))
  motion = at_rest(model)
  motion.expression[1, 5], motion.motion[1, :2] = 1.0, 0.3
  still, moved = render.render_frames(model.head, who, motion, 48)
  assert 0.05 < (still > 0).any(-1).mean() < 0.9
  assert (still != moved).any(-1).mean() > 0.05
  head = model.head
  assert len(head.expression) == {'bfm': 64, 'gnm': 383}.get(kind, 52)
  assert float(np.ptp(np.asarray(head.mean)[:, 0])) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize('kind', ['builtin', 'faceverse', 'gnm'])
def test_eyes_turn_about_themselves_in_every_head_that_has_them(models, kind):
  head, rest = models[kind].head, at_rest(models[kind], 1)
  look = rest.motion.copy()
  look[0, schema.GAZE] = (0.4, 0, 0, 0.4)  # the left eye down, the right to the image's right
  identity = np.zeros(len(head.identity), np.float32)
  before = np.asarray(render.posed(head, identity, rest)[0])
  after = np.asarray(render.posed(head, identity, rest.replace(motion=look))[0])
  left, right = np.asarray(head.eye_vertices)
  front = before[left][:, 2].argmax(), before[right][:, 2].argmax()
  assert after[left][front[0], 1] < before[left][front[0], 1] - 0.01
  assert after[right][front[1], 0] > before[right][front[1], 0] + 0.01
  others = np.setdiff1d(np.arange(len(before)), [*left, *right])
  np.testing.assert_allclose(after[others], before[others], atol=1e-6)


def test_faceverse_is_the_formula_of_its_tracker(models):
  given, coeff = made_up_faces.faceverse(), made_up_faces.faceverse_coefficients()
  head, person, motion = faceverse.read(models['faceverse'], coeff)
  flip = np.array([1, -1, -1])
  one = coeff[1].astype(float)
  mean = given['meanshape'] * flip * 0.01
  identity = 0.01 * given['idBase'].astype(float)
  identity[:, [1, 2]] *= -1  # of the coefficients, not of the axes: so its code says
  shape = mean + (identity @ coeff[:, :150].mean(0)).reshape(-1, 3)
  shown = shape + (0.01 * given['exBase_52'] @ one[150:202]).reshape(-1, 3) * flip
  ends = given['ver_inds']
  for side, (start, end) in enumerate(itertools.pairwise(ends)):
    centre = shape[start:end].mean(0) + np.array([0, 0, 0.005])
    turn = Rotation.from_euler('xy', one[486 + 2 * side : 488 + 2 * side]).as_matrix()
    shown[start:end] = (shown[start:end] - centre) @ turn.T + centre
  turn = Rotation.from_euler('xyz', one[453:456]).as_matrix()
  seen = shown @ turn.T + one[483:486]
  model = models['faceverse']
  made = render.posed(head, person.identity, jax.tree.map(lambda c: c[1], motion))
  np.testing.assert_allclose(model.unit * np.asarray(made), seen * flip, atol=1e-5)
  depth = seen[:, 2] + 10  # its picture: right, down, 1315 pixels of focal length at 512
  projected = np.asarray(camera.project(model.camera, made, 512))
  np.testing.assert_allclose(projected[:, 0], 256 + 1315 * seen[:, 0] / depth, atol=2e-2)
  np.testing.assert_allclose(projected[:, 1], 256 + 1315 * seen[:, 1] / depth, atol=2e-2)


def test_faceverse_has_the_landmarks_that_videos_are_fitted_with(models):
  head, given = models['faceverse'].head, made_up_faces.faceverse()
  points = np.asarray(morphable.landmarks(head, head.mean))
  expected = np.asarray(head.mean)[given['mediapipe_keypoints'].reshape(-1)]
  np.testing.assert_allclose(points, expected, atol=1e-6)
  assert LandmarkModel.of(head) is not None
  assert len(head.triangles) == len(given['tri']) - 1  # what its tracker does not show


def test_faceverse_blendshapes_go_by_their_names(tmp_path):
  values = made_up_faces.faceverse()
  straight = heads.load(written(tmp_path, 'faceverse')).head.expression
  order = np.random.default_rng(3).permutation(52)
  values['exBase_52'] = values['exBase_52'][:, order]
  values['exp_name_list_52'] = [schema.BLENDSHAPES[i].upper() for i in order]
  np.save(tmp_path / 'g.npy', values)
  np.testing.assert_array_equal(heads.load(str(tmp_path / 'g.npy')).head.expression, straight)


def test_gnm_is_its_formula_about_the_joint_of_the_head(models):
  given, model = made_up_faces.gnm(), models['gnm']
  rng = np.random.default_rng(2)
  identity, expression = rng.normal(size=5), rng.normal(size=(1, 383))
  motion = np.zeros((1, 12), np.float32)
  motion[0, :6] = (0, 0.3, 0, 0.1, 0, 0)
  moved = (
    given['template_vertex_positions']
    + np.tensordot(identity, given['vertex_identity_basis'], 1)
    + np.tensordot(expression[0], given['expression_basis'], 1)
  )
  origin = given['template_joint_positions'][1]
  expected = (moved - origin) @ Rotation.from_euler('y', 0.3).as_matrix().T
  expected = expected / model.unit + [0.1, 0, 0]
  made = render.posed(
    model.head, identity.astype(np.float32), Coefficients(expression.astype(np.float32), motion)
  )
  np.testing.assert_allclose(np.asarray(made[0]), expected, atol=1e-5)
  assert len(model.head.triangles) < len(given['triangles'])  # without the shells of the eyes


def test_coefficients_ask_for_their_own_model(models):
  with pytest.raises(InputError, match='expected FaceVerse'):
    faceverse.read(models['builtin'], made_up_faces.faceverse_coefficients())
  with pytest.raises(InputError, match=r'got coefficients \[3, 489\]'):
    faceverse.read(models['faceverse'], np.zeros((3, 489)))
  with pytest.raises(InputError, match='use the layout'):
    morphable.blendshapes(Coefficients(np.zeros((1, 383)), np.zeros((1, 6))))


CHANGES = {
  'faceverse': (
    lambda v: v.pop('exBase_52'),
    lambda v: v.update(ver_inds=[5, 4, 3]),
    lambda v: v.update(tri=v['tri'] + 10_000),
    lambda v: v.update(meanshape=v['meanshape'] * np.nan),
    lambda v: v.update(meanshape=v['meanshape'] * 0),
    lambda v: v.update(mediapipe_keypoints=np.arange(68)),
    lambda v: v.update(idBase=['a', 'b']),
  ),
  'gnm': (
    lambda v: v.pop('joint_names'),
    lambda v: v.update(expression_basis=v['expression_basis'][:52]),
    lambda v: v.update(triangles=v['triangles'] + 10_000),
    lambda v: v.update(triangles=v['triangles'] * 1.0),
    lambda v: v.update(skinning_weights=0 * v['skinning_weights']),
    lambda v: v.update(vertex_groups=v['vertex_groups'][1:]),
    lambda v: v.update(joint_names=np.array(['a', 'b', 'c', 'd'])),
  ),
}


@pytest.mark.parametrize(('kind', 'change'), [(k, c) for k in CHANGES for c in CHANGES[k]])
def test_other_arrays_are_refused_with_one_line(tmp_path, kind, change):
  values = getattr(made_up_faces, kind)()
  change(values)
  path = tmp_path / ('f.npy' if kind == 'faceverse' else 'f.npz')
  np.save(path, values) if kind == 'faceverse' else np.savez(path, **values)
  with pytest.raises(InputError, match=r'expected (the arrays of|it beside)') as caught:
    heads.load(str(path)) if kind == 'faceverse' else heads.gnm.load(str(path))
  assert '\n' not in str(caught.value)


def test_a_head_is_not_taken_for_another(tmp_path, models):
  np.save(tmp_path / 'a.npy', np.zeros(3))
  with pytest.raises(InputError, match='expected faceverse'):
    heads.load(str(tmp_path / 'a.npy'))
  with pytest.raises(InputError, match="expected 'builtin' or an npz"):
    heads.load(str(tmp_path / 'none.npy'))
  own = dataclasses.asdict(models['builtin'].head)
  np.savez(tmp_path / 'own.npz', **{k: np.asarray(v) for k, v in own.items()})
  with pytest.raises(InputError, match='blendshapes'):  # it is read as one of ours
    heads.load(str(tmp_path / 'own.npz'))
