"""Names are true of the head: where they lie, and which sides they are on."""

import numpy as np
import pytest

from gmtalker_jax.face import landmarks, morphable
from gmtalker_jax.io.heads import load_head


@pytest.fixture(scope='module')
def points():
  head = load_head()
  return np.asarray(morphable.landmarks(head, head.mean))


def _middle(points, indices):
  return points[list(indices)].mean(0)


def test_pairs_are_left_and_right_of_the_subject(points):
  for left, right in (landmarks.EYELIDS, landmarks.IRISES, landmarks.UPPER_LIDS):
    assert _middle(points, left)[0] > 0.1
    assert _middle(points, right)[0] < -0.1
  for side, sign in zip(landmarks.BROWS, (1, -1), strict=True):
    for edge in side:
      assert (np.diff(sign * points[list(edge), 0]) > 0).all()  # outwards
  left, right = points[list(landmarks.OUTER_EYES)]
  assert left[0] > 0 > right[0]
  assert landmarks.outer_eye_distance(points) == np.linalg.norm(left - right)


@pytest.mark.parametrize(
  'ring', [landmarks.OUTER_LIPS, landmarks.INNER_LIPS, *landmarks.EYELIDS, landmarks.SILHOUETTE]
)
def test_rings_go_round_once(points, ring):
  assert len(set(ring)) == len(ring)
  x, y, _ = (points[list(ring)] - _middle(points, ring)).T
  steps = np.diff(np.unwrap(np.arctan2(y, x)))
  assert abs(abs(steps.sum()) - 2 * np.pi) < 1.0


def test_upper_is_above_lower(points):
  upper, lower = points[list(landmarks.MIDDLE_LIPS), 1]
  assert upper >= lower
  for ring, upper in zip(landmarks.EYELIDS, landmarks.UPPER_LIDS, strict=True):
    assert _middle(points, upper)[1] > _middle(points, ring[:9])[1]
    assert {upper[0], upper[-1]} == {ring[0], ring[8]}
  for lower, upper in landmarks.BROWS:
    assert _middle(points, upper)[1] > _middle(points, lower)[1]
  ridge = points[list(landmarks.NOSE), 1]
  assert (np.diff(ridge) < 0).all()
