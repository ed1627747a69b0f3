"""Shoulders of a made-up video are found: where they are, what they are, and how they sway."""

import dataclasses

import cv2
import jax.numpy as jnp
import numpy as np
import pytest

from data_pipelines import shoulders, spooled
from data_pipelines import sway as maps
from gmtalker_jax.data import schema
from gmtalker_jax.face import bust
from gmtalker_jax.face import landmarks as names

SIZE, FRAMES = 128, 120
RNG = np.random.default_rng(0)


@dataclasses.dataclass
class Scene:
  """A wall, shoulders in front of it, and a face in front of both; pose [T, 6], sway [T, 8]."""

  pose: np.ndarray
  sway: np.ndarray
  cover: np.ndarray  # [R, R] bool, of the shoulders at rest
  pictures: list[np.ndarray]


def texture(seed, smooth):
  noise = np.random.default_rng(seed).uniform(0, 255, (SIZE, SIZE, 3)).astype(np.float32)
  blurred = cv2.GaussianBlur(noise, (0, 0), smooth)
  return np.clip((blurred - 127) * smooth + 127, 0, 255)


def scene(cloth=1, still=False, own=0.01):
  """`own` is about what the shoulders do that the head does not tell."""
  t = np.arange(FRAMES)[:, None]
  pose = 0.06 * np.sin(t / np.array([9, 13, 7, 11, 17, 23]) + np.arange(6))
  follows = np.zeros((6, 8))
  follows[3, 2], follows[4, 5], follows[2, 1], follows[2, 3] = 0.35, 0.3, -0.4, 0.4
  follows[0, 6], follows[1, 7] = 1, 1.5  # as leaning does
  sway = pose @ follows + own * np.sin(t / np.arange(5, 13)) * [1, 1, 0.5, 1, 1, 0.5, 4, 4]
  sway = np.zeros_like(sway) if still else sway
  rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE
  cover = rows > 0.78 + 0.5 * (columns - 0.5) ** 2
  wall, shirt = texture(7, 3), texture(cloth, 2)
  pictures = []
  for frame in range(FRAMES):
    matrix = maps.matrix(sway[frame], SIZE)
    warp = lambda x, m=matrix: cv2.warpPerspective(x, m, (SIZE, SIZE), borderMode=1)  # noqa: E731
    over = warp(cover.astype(np.float32))[..., None]
    picture = wall * (1 - over) + warp(shirt) * over
    at = np.round(face(pose[frame]) * SIZE).astype(np.int32)
    cv2.fillConvexPoly(picture, cv2.convexHull(at), (180, 140, 120))
    pictures.append(np.round(picture + RNG.normal(0, 2, picture.shape)).clip(0, 255))
  return Scene(pose, sway, cover, [p.astype(np.uint8) for p in pictures])


def face(pose):
  """The outline [36, 2] of a face in sides of the picture, from its upper left corner."""
  angle = np.linspace(0, 2 * np.pi, len(names.SILHOUETTE), endpoint=False)
  centre = np.array([0.5, 0.45]) + 0.43 * pose[3:5] * [1, -1]
  return centre + np.stack([0.17 * np.sin(angle), -0.25 * np.cos(angle)], 1)


def spool(folder, name, one, training=None):
  """Spools a scene as `prepare person` does."""
  motion = np.pad(one.pose, ((0, 0), (0, 6))).astype(np.float32)
  record = {'id': name, 'motion': motion, 'valid': np.ones(FRAMES, np.float32)}
  with spooled.writing(folder / name, record, SIZE) as keep:
    for picture in one.pictures:
      keep(picture)
  landmarks = np.zeros((FRAMES, 478, 2))
  landmarks[:, names.SILHOUETTE] = np.stack([face(p) for p in one.pose])
  landmarks[:, names.MIDDLE_LIPS, 1] = 0.6
  landmarks = (landmarks - 0.5) * [1, -1]
  return shoulders.Clip(
    folder / name, landmarks, np.arange(FRAMES * 3 // 4) if training is None else training
  )


@pytest.fixture(scope='module')
def found(tmp_path_factory):
  one = scene()
  watched = shoulders.watch([spool(tmp_path_factory.mktemp('spool'), 'a', one)])
  assert watched is not None
  return one, watched


def test_the_sway_of_every_frame_is_found_to_a_fraction_of_a_pixel(found):
  one, watched = found
  assert watched.sways[0].dtype == np.float32
  assert watched.sways[0].shape == (FRAMES, len(schema.SWAY_NAMES))
  # Where rest is, is free: what counts is how points move from frame to frame.
  places = np.array([[x, y, 1] for x in (-0.3, 0, 0.3) for y in (0.02, 0.08, 0.14)])
  there = lambda sway: _at(places, sway)  # noqa: E731
  back = np.linalg.inv(maps.whole(watched.sways[0][0]))
  from_first = [maps.less_identity(maps.whole(s) @ back) for s in watched.sways[0]]
  first = np.linalg.inv(maps.whole(one.sway[0]))
  truth = [maps.less_identity(maps.whole(s) @ first) for s in one.sway]
  found_at, true_at = np.stack(list(map(there, from_first))), np.stack(list(map(there, truth)))
  off = np.abs(found_at - true_at) * SIZE
  assert np.percentile(off, 99) < 1.5
  assert off.mean() < 0.4
  assert np.ptp(true_at, 0).min() * SIZE > 5  # of which it says something


def _at(places, sway):
  moved = places @ maps.whole(sway).T
  return moved[:, :2] / moved[:, 2:]


def test_what_is_shown_is_the_cloth_and_not_the_wall(found):
  one, watched = found
  picture = watched.bust.picture
  seen = picture[..., 3] > 0.5
  below = one.cover & ~cv2.dilate((one.cover == 0).astype(np.uint8), np.ones((9, 9))).astype(bool)
  above = ~one.cover & ~cv2.dilate(one.cover.astype(np.uint8), np.ones((15, 15))).astype(bool)
  assert seen[below].mean() > 0.97
  assert seen[above].mean() < 0.02
  shirt = texture(1, 2) / 255
  assert np.abs(picture[below][:, :3] - shirt[below]).mean() < 0.06
  assert not picture[..., :3][picture[..., 3] == 0].any()


def test_the_shoulders_follow_the_head_as_they_did(found):
  one, watched = found
  known, sway = one.pose[: FRAMES * 3 // 4], watched.sways[0][: FRAMES * 3 // 4]
  said = watched.bust.follows[0] + known @ watched.bust.follows[1:]
  left = (said - sway).var(0) / sway.var(0)
  assert (left[[2, 3, 5, 6]] < 0.15).all()
  assert left.max() > 0.3  # some is their own


@pytest.mark.parametrize('why', ['they rest', 'they change clothes'])
def test_without_anything_to_gain_there_are_none(tmp_path, why):
  if why == 'they rest':
    clips = [spool(tmp_path, 'a', scene(still=True))]
  else:
    clips = [spool(tmp_path, name, scene(cloth)) for cloth, name in enumerate('ab')]
  assert shoulders.watch(clips) is None


def test_nothing_of_what_is_held_out_is_learnt(tmp_path, found):
  """Other pictures after the frames for training change the bust in nothing."""
  one, watched = found
  other = dataclasses.replace(
    one, pictures=one.pictures[: FRAMES * 3 // 4] + [one.pictures[0]] * 30
  )
  again = shoulders.watch([spool(tmp_path, 'a', other)])
  np.testing.assert_array_equal(again.bust.picture, watched.bust.picture)
  np.testing.assert_array_equal(again.bust.follows, watched.bust.follows)
  assert (again.sways[0][-30:] != watched.sways[0][-30:]).any()


def test_what_is_found_in_photographs_is_what_the_rendering_shows(found):
  """OpenCV moves the picture as `lay_over` does: right is right, up is up, and roll is roll."""
  _, watched = found
  sway = np.array([0.05, -0.2, 0.05, 0.15, -0.04, -0.03, 0.2, -0.1], np.float32)
  black = np.full((SIZE, SIZE, 3), -1, np.float32)
  shown = bust.lay_over(jnp.asarray(black), watched.bust, jnp.asarray(sway))
  picture, size = watched.bust.picture, (SIZE, SIZE)
  moved = cv2.warpPerspective(picture, maps.matrix(sway, SIZE), size, borderMode=1)
  expected = moved[..., :3] * moved[..., 3:] * 2 - 1
  off = np.abs(np.asarray(shown) - expected)[SIZE // 2 :]  # OpenCV counts 32 places a pixel
  assert off.mean() < 0.01 < np.abs(expected - black).mean()


def test_a_matrix_of_a_sway_gives_it_back():
  for sway in RNG.normal(0, 0.1, (5, 8)):
    np.testing.assert_allclose(maps.from_matrix(maps.matrix(sway, SIZE), SIZE), sway, atol=1e-5)
