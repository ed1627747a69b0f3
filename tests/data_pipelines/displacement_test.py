"""What no identity reaches: from landmarks to the skin between them, and lids that still close."""

import jax.numpy as jnp
import numpy as np
import pytest

from data_pipelines import displacement, fit
from gmtalker_jax.data import schema
from gmtalker_jax.face import landmarks as names
from gmtalker_jax.face import morphable
from gmtalker_jax.face.landmark_model import LandmarkModel
from gmtalker_jax.io.heads import load_head

OPEN = 0.012  # head widths that the upper lids of this person are higher


@pytest.fixture(scope='module')
def head():
  return load_head()


@pytest.fixture(scope='module')
def told(head):
  return fit.landmark_weights(LandmarkModel.of(head)) > 0.5


def opened(head):
  """Offsets [478, 3] of someone whose eyes are wider than the mean's."""
  offset = np.zeros((names.COUNT, 3), np.float32)
  for lids in names.UPPER_LIDS:
    offset[list(lids), 1] = OPEN * np.sin(np.linspace(0, np.pi, len(lids)))
  return offset


def at_landmarks(head, vertices):
  return np.asarray(morphable.landmarks(head, jnp.asarray(vertices)))


def test_landmarks_go_where_they_were_seen_and_the_back_of_the_head_stays(head, told):
  """A smooth field of all the face, whose values between the landmarks are known as well."""
  field = lambda p: 0.02 * np.stack([p[:, 1], p[:, 0], 0 * p[:, 0]], 1)  # noqa: E731
  offset = field(at_landmarks(head, head.mean)).astype(np.float32)
  found = displacement.over_mesh(head, offset)
  off = np.linalg.norm(at_landmarks(head, found) - offset, axis=1)[told]
  assert np.linalg.norm(offset, axis=1)[told].mean() > 0.003
  assert np.percentile(off, 95) < 1e-3
  points = np.asarray(head.mean)
  hull = at_landmarks(head, points)[told]
  face = (points[:, 2] > np.median(hull[:, 2])) & (np.asarray(head.skin) > 0.5)
  face &= np.abs(points[:, 0]) < 0.3
  between = np.linalg.norm(found - field(points), axis=1)[face]
  assert face.sum() > 300
  assert np.percentile(between, 95) < 1e-3
  behind = (points[:, 2] < -0.3) & (np.asarray(head.skin) > 0.5)
  assert np.abs(found[behind]).max() < np.abs(found[face]).max() / 2


def test_one_landmark_that_is_off_moves_nothing_around_it(head, told):
  offset = np.zeros((names.COUNT, 3), np.float32)
  wrong = names.OUTER_LIPS[4]
  assert told[wrong]
  offset[wrong] = 0.05, 0.02, 0
  assert np.abs(displacement.over_mesh(head, offset)).max() < 0.004


def test_eyeballs_go_with_their_lids_and_teeth_stay(head, told):
  offset = np.zeros((names.COUNT, 3), np.float32)
  offset[told] = 0.01, -0.005, 0
  found = displacement.over_mesh(head, offset)
  np.testing.assert_allclose(
    found[np.asarray(head.eye_vertices)], np.broadcast_to(offset[told][0], (2, 72, 3)), atol=1e-4
  )
  teeth = np.unique(np.asarray(head.triangles)[np.isin(head.triangle_group, (3, 4, 5))])
  assert (found[teeth] == 0).all()
  own = morphable.displaced(head, found)
  np.testing.assert_allclose(own.eye_centre - head.eye_centre, found[head.eye_vertices].mean(1))


def gaps(head, blink):
  """Of each eye, the mean height [2] between its lids."""
  shapes = jnp.zeros(52).at[np.array(schema.BLINKS)].set(blink)
  shown = morphable.vertices(head, jnp.zeros(80), shapes, jnp.zeros(4))
  at = at_landmarks(head, shown)[..., 1]
  lower = [[k for k in ring if k not in lids[1:-1]] for ring, lids in LIDS]
  pairs = zip(LIDS, lower, strict=True)
  return np.array([at[list(lids)].mean() - at[low].mean() for (_, lids), low in pairs])


LIDS = tuple(zip(names.EYELIDS, names.UPPER_LIDS, strict=True))


def test_eyes_that_are_wider_open_close_as_far_as_the_head_s(head):
  own = morphable.displaced(head, displacement.over_mesh(head, opened(head)))
  assert (gaps(own, 0.0) - gaps(head, 0.0) > 0.4 * OPEN).all()
  np.testing.assert_allclose(gaps(own, 1.0), gaps(head, 1.0), atol=0.06 * OPEN)


def test_an_iris_has_the_size_that_people_s_have(head):
  """11.7 mm of 90 between the outer corners; its place on the ball is looked up by the renderer."""
  share = displacement.iris(head, np.zeros(80, np.float32))
  arms = np.asarray(head.mean)[np.asarray(head.eye_vertices)] - head.eye_centre[:, None]
  radius = share * np.linalg.norm(arms, axis=-1).mean()
  corners = at_landmarks(head, head.mean)[list(names.OUTER_EYES)]
  assert 2 * radius / np.linalg.norm(np.diff(corners, axis=0)) == pytest.approx(11.7 / 90, rel=0.01)
