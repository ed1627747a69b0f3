import jax.numpy as jnp
import numpy as np
import pytest

from data_pipelines.procedural import people, photo
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.face import render
from gmtalker_jax.face.person import Person
from gmtalker_jax.io.heads import load_head
from gmtalker_jax.types import Coefficients

SIZE = 48


def _frames(*rows: dict[str, float]) -> Coefficients:
  expression, motion = np.zeros((len(rows), 50), np.float32), np.zeros((len(rows), 12), np.float32)
  for t, row in enumerate(rows):
    for name, value in row.items():
      if name in schema.EXPRESSION_NAMES:
        expression[t, schema.EXPRESSION_NAMES.index(name)] = value
      else:
        motion[t, schema.MOTION_NAMES.index(name)] = value
  return Coefficients(jnp.asarray(expression), jnp.asarray(motion))


@pytest.fixture(scope='module')
def head():
  return load_head()


@pytest.fixture(scope='module')
def camera(head):
  return photo.Photographer(people.people(1)[0], head, SIZE)


def test_the_same_seed_is_the_same_photo(camera, head):
  again = photo.Photographer(people.people(1)[0], head, SIZE)
  frames = _frames({}, {'jawOpen': 0.6})
  first = camera.shoot(frames, 'happy', 2)
  assert first.shape == (2, SIZE, SIZE, 3)
  assert first.dtype == np.uint8
  np.testing.assert_array_equal(first, again.shoot(frames, 'happy', 2))


def test_people_differ(camera, head):
  other = photo.Photographer(people.people(2)[1], head, SIZE)
  one, two = camera.shoot(_frames({}))[0], other.shoot(_frames({}))[0]
  assert np.abs(one.astype(int) - two).mean() > 15


def test_grain_follows_the_frame_number(camera):
  frames = _frames({}, {}, {})
  shot = camera.shoot(frames).astype(int)
  assert 0 < np.abs(shot[1] - shot[0]).mean() < 6
  np.testing.assert_array_equal(shot[2], camera.shoot(_frames({}), first=2)[0])


def test_only_the_head_moves(camera):
  still, turned = camera.shoot(_frames({}, {'rotationY': 0.35})).astype(int)
  change = np.abs(turned - still).mean(-1)
  assert change[12:30, 12:36].mean() > 12  # the face
  assert np.median(change[:40, :6]) < 5  # the wall: grain only
  assert np.median(change[:, -6:][:30]) < 5
  assert np.median(change[-4:]) < 6  # the clothes


def test_the_face_lies_where_the_rendering_has_it(camera, head):
  """An opening mouth changes both pictures at the same place."""
  frames = _frames({}, {'jawOpen': 0.9})
  shot = camera.shoot(frames).astype(float).mean(-1)
  plain = render.render_frames(head, Person.plain(people.people(1)[0].identity), frames, SIZE)
  centres = []
  for pictures in (shot, plain.astype(float).mean(-1)):
    change = np.abs(pictures[1] - pictures[0])
    change = np.where(change > 0.4 * change.max(), change, 0)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    centres.append([(change * rows).sum() / change.sum(), (change * columns).sum() / change.sum()])
  assert np.abs(np.subtract(*centres)).max() < 3


def test_a_photo_is_not_the_plain_rendering(camera, head):
  plain = render.render_frames(head, Person.plain(people.people(1)[0].identity), _frames({}), SIZE)
  shot = camera.shoot(_frames({}))
  assert np.mean((plain.astype(float) - shot) ** 2) > 255**2 / 10**1.6  # less than 16 dB


def test_blinks_hide_the_iris(camera):
  closed = {'blinkLeft': 1.0, 'blinkRight': 1.0}
  opened, shut = camera.shoot(_frames({}, closed)).astype(int)
  change = np.abs(opened - shut).mean(-1)
  assert change[14:24, 14:34].max() > 30


def test_bad_arguments_are_refused(camera, head):
  with pytest.raises(InputError, match='expected one of'):
    camera.shoot(_frames({}), 'bored')
  with pytest.raises(InputError, match='larger'):
    photo.Photographer(people.people(1)[0], head, 4)
