"""A person's skin and light in the rendering; without them, the head's own to the last bit."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data.schema import EXPRESSION_NAMES
from gmtalker_jax.face import camera, chart, light, morphable, raster, render
from gmtalker_jax.face.person import Person
from gmtalker_jax.io.heads import load_head
from gmtalker_jax.types import Coefficients

SIZE = 128
RENDER = jax.jit(render.render, static_argnames='size')
EVEN = np.array([1.2, *[0.0] * 8], np.float32)
RNG = np.random.default_rng(0)
IDENTITY = RNG.normal(size=80).astype(np.float32)
FRAME = Coefficients(
  RNG.uniform(0, 0.4, 50).astype(np.float32), RNG.normal(0, 0.1, 12).astype(np.float32)
)


@pytest.fixture(scope='module')
def head():
  return load_head()


def skin(head):
  """[H, W] where the rendering shows nothing but skin."""
  vertices = render.posed(head, IDENTITY, FRAME)
  projected = camera.project(camera.DEFAULT, vertices, SIZE)
  fragments = raster.rasterize(projected, head.triangles, SIZE)
  covered = raster.interpolate(fragments, head.triangles, head.skin[:, None])
  return np.asarray(covered)[..., 0] > 0.999


def test_a_plain_person_looks_as_the_head_alone_did_to_the_last_bit(head):
  """The renderer as it was before there were persons, written out."""

  @jax.jit
  def before(head, identity, frame):
    vertices = render.posed(head, identity, frame)
    fragments = raster.rasterize(
      camera.project(camera.DEFAULT, vertices, SIZE), head.triangles, SIZE
    )
    directions = render.eye_directions(head)
    attributes = [head.albedo, render.normals(vertices, head.triangles), directions]
    pixels = raster.interpolate(fragments, head.triangles, jnp.concatenate(attributes, -1))
    albedo, normal, eye = jnp.split(pixels, 3, -1)
    hit = fragments.triangle[..., None] >= 0
    normal = jnp.where(hit, render.unit(normal), 0.0)
    colour = render._paint_eyes(albedo, eye, Person.plain(identity)) * light.shade(
      normal, light.DEFAULT_LIGHT
    )
    return jnp.where(hit, jnp.clip(colour, 0, 1), 0.0) * 2 - 1

  now = RENDER(head, Person.plain(IDENTITY), FRAME, size=SIZE).rgb
  np.testing.assert_array_equal(now, before(head, IDENTITY, FRAME))


def test_a_texture_is_the_albedo_of_the_skin_and_of_nothing_else(head):
  plain = Person.plain(IDENTITY)
  grey = plain.replace(texture=np.full((64, 64, 3), 0.5, np.float32))
  before, after = (np.asarray(RENDER(head, p, FRAME, size=SIZE).rgb) for p in (plain, grey))
  on_skin = skin(head)
  assert 0.1 < on_skin.mean() < 0.4
  assert np.ptp(after[on_skin], axis=-1).max() < 1e-5  # grey, whatever the light
  shade = light.shade(RENDER(head, plain, FRAME, size=SIZE).normals, light.DEFAULT_LIGHT)
  expected = np.clip(0.5 * np.asarray(shade), 0, 1) * 2 - 1
  np.testing.assert_allclose(after[on_skin], np.tile(expected, 3)[on_skin], atol=1e-5)
  same = (before == after).all(-1)
  eyes = np.asarray(head.triangle_group)[_triangles(head)]
  assert same[(eyes == 1) | (eyes == 2)].all()


def _triangles(head):
  projected = camera.project(camera.DEFAULT, render.posed(head, IDENTITY, FRAME), SIZE)
  return np.asarray(raster.rasterize(projected, head.triangles, SIZE).triangle)


def test_an_iris_has_the_radius_that_the_person_has(head):
  straight = Coefficients(np.zeros(50, np.float32), np.zeros(12, np.float32))
  wide = dataclasses.replace(
    straight, expression=np.array([n.startswith('eyeWide') for n in EXPRESSION_NAMES], np.float32)
  )
  eyes = np.array([[1, 1, 1], [0, 0, 1]], np.float32)
  widths = []
  for iris in (None, 0.3, 0.4, render.IRIS):
    person = Person.plain(IDENTITY * 0).replace(eyes=eyes, iris=iris, light=EVEN)
    rgb = np.asarray(RENDER(head, person, wide, size=512).rgb)
    blue = (rgb[..., 2] - rgb[..., 0] > 0.1) | (rgb.max(-1) < -0.9) & (rgb.min(-1) > -1)
    widths.append(blue.any(0).sum())
  assert widths[0] == widths[3]
  # The rim takes part of it; what is left grows as the radius.
  assert widths[1] / widths[3] == pytest.approx(0.3 / render.IRIS, rel=0.12)
  assert widths[2] / widths[3] == pytest.approx(0.4 / render.IRIS, rel=0.12)


def test_a_displacement_moves_the_face_and_its_eyes_as_a_shift_would(head):
  shift = np.array([0.02, 0.01, 0.0], np.float32)
  moved = Person.plain(IDENTITY).replace(displacement=np.tile(shift, (len(head.mean), 1)))
  shut = FRAME.motion.copy()
  shut[6:8] = 0  # a blink takes the displacement of lids back
  frame = dataclasses.replace(FRAME, motion=shut)
  own = render.personal(head, moved)
  before = render.posed(head, IDENTITY, frame)
  after = render.posed(own, np.zeros(0, np.float32), frame)
  turned = morphable.move(jnp.asarray(shift)[None], shut[:3], jnp.zeros(3))
  np.testing.assert_allclose(after - before, np.broadcast_to(turned, before.shape), atol=2e-6)
  pair = (head, moved), (own, Person.plain(np.zeros(0, np.float32)))
  one, two = (np.asarray(RENDER(h, p, frame, size=SIZE).rgb) for h, p in pair)
  assert (np.abs(one - two) > 0.01).mean() < 1e-3  # rounding decides of a few pixels at edges


def test_a_displacement_of_another_head_is_one_line(head):
  person = Person.plain(IDENTITY).replace(displacement=np.zeros((7, 3), np.float32))
  with pytest.raises(InputError, match=r'got a displacement \[7, 3\], expected \[4879, 3\]'):
    render.personal(head, person)


def test_light_of_one_colour_and_of_three(head):
  dim = Person.plain(IDENTITY).replace(light=light.DEFAULT_LIGHT / 2)
  tinted = dim.replace(light=np.stack([light.DEFAULT_LIGHT * s for s in (0.5, 0.5, 0.25)], 1))
  one, three = (np.asarray(RENDER(head, p, FRAME, size=SIZE).rgb) + 1 for p in (dim, tinted))
  np.testing.assert_allclose(three[..., :2], one[..., :2], atol=1e-6)
  np.testing.assert_allclose(three[..., 2], one[..., 2] / 2, atol=1e-6)


def test_many_frames_of_a_person_are_as_one_by_one(head):
  texture = RNG.uniform(0, 1, (64, 64, 3)).astype(np.float32)
  person = Person(IDENTITY, texture, light.DEFAULT_LIGHT * 0.7)
  frames = jax.tree.map(lambda x: np.stack([x, x * 0.5, x * 0]), FRAME)
  together = render.render_frames(head, person, frames, SIZE, 2)
  for i in range(3):
    alone = RENDER(head, person, jax.tree.map(lambda x: x[i], frames), size=SIZE).rgb  # noqa: B023
    # A texture of noise: a thousandth of a texel is a level of the picture.
    off = np.abs(together[i] - np.asarray((alone + 1) * 127.5))
    assert np.percentile(off, 99.5) < 1.5


def test_the_chart_unrolls_the_face_without_folds(head):
  """What faces the camera keeps its orientation, but for eye sockets and the backs of ears."""
  corners, flat = (np.asarray(a)[np.asarray(head.triangles)] for a in (head.mean, head.uv))
  one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
  normal = np.cross(one, two)
  facing = normal[:, 2] > 0.4 * np.linalg.norm(normal, axis=1)
  covered = np.asarray(head.skin)[np.asarray(head.triangles)].min(1) > 0
  first, second = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
  upright = first[:, 0] * second[:, 1] < first[:, 1] * second[:, 0]
  assert (facing & covered).sum() > 3000
  assert upright[facing & covered].mean() > 0.99


def test_the_chart_of_a_mirrored_head_is_mirrored(head):
  there = np.asarray(chart.unroll(np.asarray(head.mean) * [-1, 1, 1]))
  np.testing.assert_allclose(there, np.asarray(head.uv) * [-1, 1] + [1, 0], atol=1e-6)


def test_look_up_is_bilinear():
  texture = np.zeros((4, 4, 3), np.float32)
  texture[1, 2] = 1
  at = np.array([[2.5, 1.5], [3.0, 1.5], [2.5, 2.25], [2.0, 1.0], [0, 0], [9, 9]]) / 4
  found = np.asarray(chart.look_up(texture, jnp.asarray(at)))[:, 0]
  np.testing.assert_allclose(found, [1, 0.5, 0.25, 0.25, 0, 0], atol=1e-6)
