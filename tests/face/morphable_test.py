import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.face import camera, morphable
from gmtalker_jax.io.heads import load_head
from gmtalker_jax.types import Coefficients

RNG = np.random.default_rng(0)


@pytest.fixture(scope='module')
def head():
  return load_head()


def _vertices(head, identity=None, weights=None, gaze=(0, 0, 0, 0)):
  identity = np.zeros(80, np.float32) if identity is None else identity
  weights = np.zeros(52, np.float32) if weights is None else weights
  return np.asarray(morphable.vertices(head, identity, weights, jnp.asarray(gaze, jnp.float32)))


def _weights(**values):
  return np.array([values.get(n, 0) for n in schema.BLENDSHAPES], np.float32)


def test_rotation_is_rz_ry_rx_of_scipy():
  angles = RNG.normal(size=(5, 3)).astype(np.float32)
  # Lower case = fixed axes: x is applied first, so the matrix is Rz Ry Rx.
  want = Rotation.from_euler('xyz', angles).as_matrix()
  np.testing.assert_allclose(morphable.rotation_matrix(angles), want, atol=1e-6)


@pytest.mark.parametrize(
  ('name', 'axis', 'sign'), [('rotationX', 1, -1), ('rotationY', 0, 1)], ids=['down', 'right']
)
def test_positive_angles_turn_the_nose_as_documented(head, name, axis, sign):
  motion = np.zeros(12, np.float32)
  motion[schema.MOTION_NAMES.index(name)] = 0.3
  nose = np.asarray(head.mean)[None, np.asarray(head.mean)[:, 2].argmax()]
  moved = np.asarray(morphable.move(nose, motion[schema.ROTATION], np.zeros(3, np.float32)))
  assert sign * (moved - nose)[0, axis] > 0.1


def test_positive_roll_takes_the_crown_to_image_left():
  crown = jnp.array([[0.0, 1.0, 0.0]])
  moved = morphable.move(crown, jnp.array([0.0, 0.0, 0.3]), jnp.zeros(3))
  assert moved[0, 0] < -0.2


def test_vertices_are_linear_in_identity_and_expression(head):
  a, b = RNG.normal(size=(2, 80)).astype(np.float32)
  x, y = RNG.uniform(size=(2, 52)).astype(np.float32)
  mean = _vertices(head)
  left = _vertices(head, 2 * a - b, 0.5 * x + y) - mean
  right = 2 * (_vertices(head, a) - mean) - (_vertices(head, b) - mean)
  right = right + 0.5 * (_vertices(head, weights=x) - mean) + _vertices(head, weights=y) - mean
  np.testing.assert_allclose(left, right, atol=2e-5)


def test_eyes_turn_as_rigid_bodies_about_their_centres(head):
  identity = RNG.normal(size=80).astype(np.float32)
  weights = RNG.uniform(size=52).astype(np.float32)
  gaze = np.array([0.2, 0.3, -0.1, 0.4])
  rest = _vertices(head, identity)
  turned = _vertices(head, identity, weights, gaze)
  for eye, angles in enumerate(gaze.reshape(2, 2)):
    index = np.asarray(head.eye_vertices[eye])
    drift = (rest[index] - np.asarray(head.mean)[index]).mean(0)
    centre = np.asarray(head.eye_centre[eye]) + drift
    want = (rest[index] - centre) @ Rotation.from_euler('xy', angles).as_matrix().T + centre
    np.testing.assert_allclose(turned[index], want, atol=1e-5)


def test_gaze_signs(head):
  front = np.asarray(head.eye_vertices[0])[
    np.asarray(head.mean)[np.asarray(head.eye_vertices[0]), 2].argmax()
  ]
  rest = _vertices(head)[front]
  assert _vertices(head, gaze=(0.3, 0, 0, 0))[front][1] < rest[1] - 0.01
  assert _vertices(head, gaze=(0, 0.3, 0, 0))[front][0] > rest[0] + 0.01


def test_left_is_image_right(head):
  moved = abs(_vertices(head, weights=_weights(eyeBlinkLeft=1)) - _vertices(head)).sum(1)
  assert head.mean[moved.argmax(), 0] > 0.1
  assert head.eye_centre[0, 0] > 0 > head.eye_centre[1, 0]


def test_leading_axes_broadcast(head):
  identity = RNG.normal(size=(2, 1, 80)).astype(np.float32)
  weights = RNG.uniform(size=(3, 52)).astype(np.float32)
  gaze = RNG.normal(size=(2, 3, 4)).astype(np.float32) * 0.1
  together = _vertices(head, identity, weights, gaze)
  assert together.shape == (2, 3, len(head.mean), 3)
  alone = _vertices(head, identity[1, 0], weights[2], gaze[1, 2])
  np.testing.assert_allclose(together[1, 2], alone, atol=1e-5)
  assert morphable.landmarks(head, together).shape == (2, 3, 478, 3)


def test_split_undoes_blendshapes():
  whole = RNG.uniform(size=(4, 52)).astype(np.float32)
  expression, blinks = morphable.split(whole)
  motion = jnp.zeros((4, 12)).at[:, schema.BLINK].set(blinks)
  np.testing.assert_array_equal(morphable.blendshapes(Coefficients(expression, motion)), whole)
  np.testing.assert_array_equal(
    whole[:, [schema.BLENDSHAPES.index('eyeBlinkRight')]][:, 0], blinks[:, 1]
  )


def test_landmarks_follow_the_lips(head):
  closed, opened = (
    np.asarray(morphable.landmarks(head, _vertices(head, weights=_weights(jawOpen=jaw))))
    for jaw in (0.0, 0.7)
  )
  gap = lambda marks: marks[13, 1] - marks[14, 1]  # noqa: E731  inner middle of the two lips
  assert gap(closed) < 0.03 < 0.09 < gap(opened)
  # Same numbers left and right as the face mesh: 33 is the subject's right, image left.
  assert closed[33, 0] < 0 < closed[263, 0]
  assert np.abs(closed[468:473, :2].mean(0) - np.asarray(head.eye_centre[1])[:2]).max() < 0.03


def test_gradient_of_landmarks_matches_finite_differences(head):
  def loss(weights):
    vertices = morphable.vertices(head, jnp.zeros(80), weights[:52], weights[52:])
    return (morphable.landmarks(head, vertices) ** 2).sum()

  at = jnp.asarray(RNG.uniform(0, 0.5, 56).astype(np.float32))
  direction = jnp.asarray(RNG.normal(size=56).astype(np.float32))
  slope = jnp.vdot(jax.grad(loss)(at), direction)
  step = 1e-2
  want = (loss(at + step * direction) - loss(at - step * direction)) / (2 * step)
  np.testing.assert_allclose(slope, want, rtol=2e-2)


def test_wrong_sizes_are_told_apart(head):
  with pytest.raises(InputError, match='got 50 blendshape weights, expected 52'):
    morphable.vertices(head, jnp.zeros(80), jnp.zeros(50), jnp.zeros(4))
  with pytest.raises(InputError, match="layout 'arkit'"):
    morphable.blendshapes(Coefficients(jnp.zeros(64), jnp.zeros(12)))
  bfm = Coefficients(jnp.ones(64), jnp.zeros(6))
  np.testing.assert_array_equal(morphable.blendshapes(bfm), jnp.ones(64))


def test_projection_identities():
  points = RNG.normal(size=(7, 3)).astype(np.float32)
  there = camera.project(camera.DEFAULT, points, 256)
  np.testing.assert_allclose(camera.unproject(camera.DEFAULT, there, 256), points, atol=1e-5)
  middle = camera.project(camera.DEFAULT, jnp.zeros((1, 3)), 256)
  np.testing.assert_allclose(middle, [[128, 128, 6]])
  # One head width at the origin covers focal / distance of the image, whatever its size.
  unit = camera.project(camera.DEFAULT, jnp.array([[1.0, 1.0, 0.0]]), 512)
  np.testing.assert_allclose(unit[0, :2] - 256, [1315 / 6, -1315 / 6], rtol=1e-5)
