import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmtalker_jax.data import schema
from gmtalker_jax.face import camera, light, morphable, raster, render
from gmtalker_jax.face.person import Person
from gmtalker_jax.io.heads import load_head
from gmtalker_jax.types import Coefficients

SIZE = 64
NEAR = camera.Camera(focal=2.2 * camera.DEFAULT.focal)
RENDER = jax.jit(render.render, static_argnames='size')
NOBODY = Person.plain(np.zeros(80, np.float32))


@pytest.fixture(scope='module')
def head():
  return load_head()


def _frame(**values):
  expression = [values.get(n, 0.0) for n in schema.EXPRESSION_NAMES]
  motion = [values.get(n, 0.0) for n in schema.MOTION_NAMES]
  return Coefficients(jnp.array(expression), jnp.array(motion))


def _groups(head, frame, size=128):
  """Which group of the head each pixel of a close-up shows, -1 = none."""
  vertices = render.posed(head, jnp.zeros(80), frame)
  projected = camera.project(NEAR, vertices, size)
  triangle = np.asarray(raster.rasterize(projected, head.triangles, size).triangle)
  return np.where(triangle >= 0, np.asarray(head.triangle_group)[triangle], -1)


def test_a_rendering_is_a_head_on_black(head):
  picture = RENDER(head, NOBODY, _frame(), size=SIZE)
  mask, rgb = np.asarray(picture.mask), np.asarray(picture.rgb)
  assert 0.1 < mask.mean() < 0.6
  assert (rgb[mask == 0] == -1).all()
  assert rgb.min() >= -1
  assert rgb.max() <= 1
  lengths = np.linalg.norm(picture.normals, axis=-1)
  np.testing.assert_allclose(lengths, mask, atol=1e-5)
  assert (np.asarray(picture.normals)[mask == 1, 2] > -0.1).mean() > 0.99
  assert np.isfinite(picture.depth)[mask == 1].all()
  # Skin, not grey: more red than blue in the middle of the forehead.
  middle = rgb[20, 32]
  assert middle[0] > middle[2] + 0.2


def test_the_mouth_shows_teeth_and_tongue_only_when_it_opens(head):
  closed, opened = (_groups(head, _frame(jawOpen=jaw)) for jaw in (0.0, 0.8))
  for group in (4, 5):
    assert (opened == group).sum() > 20
  assert (closed >= 3).sum() < 12


def test_a_blink_hides_the_eye_of_its_side(head):
  groups = _groups(head, _frame(blinkLeft=1.0))
  assert (groups == 2).sum() > 20
  assert (groups == 1).sum() < 4


def test_the_pupils_follow_the_gaze(head):
  def darkest(yaw):
    frame = _frame(gazeLeftYaw=yaw, gazeRightYaw=yaw)
    rgb = np.asarray(RENDER(head, NOBODY, frame, size=128, camera=NEAR).rgb).mean(-1)
    weight = np.where(np.isin(_groups(head, frame), (1, 2)), 1 - rgb, 0) ** 4
    return (weight * np.arange(128)[None]).sum() / weight.sum()

  assert darkest(-0.3) < darkest(0.0) - 0.5 < darkest(0.3) - 1


def test_frames_equal_single_renderings(head):
  frames = [_frame(), _frame(jawOpen=0.5), _frame(rotationY=0.3), _frame(gazeLeftYaw=0.3)]
  person = Person.plain(np.random.default_rng(0).normal(size=80).astype(np.float32))
  stack = jax.tree.map(lambda *x: np.stack(x), *frames)
  together = render.render_frames(head, person, stack, SIZE, batch=3)
  assert together.shape == (4, SIZE, SIZE, 3)
  assert together.dtype == np.uint8
  for frame, got in zip(frames, together, strict=True):
    want = (np.asarray(RENDER(head, person, frame, size=SIZE).rgb) + 1) * 127.5
    # Rounding may hand a pixel on an edge to the neighbouring triangle, and no more.
    assert (abs(got - want).max(-1) < 2).mean() > 0.995


def test_a_personal_head_is_the_head_with_its_identity(head):
  identity = jnp.asarray(np.random.default_rng(1).normal(size=80), jnp.float32)
  gaze = jnp.array([0.1, 0.2, -0.1, 0.3])
  own = render.personal(head, Person.plain(identity))
  np.testing.assert_allclose(
    morphable.vertices(own, jnp.zeros(0), jnp.zeros(52), gaze),
    morphable.vertices(head, identity, jnp.zeros(52), gaze),
    atol=1e-5,
  )


@pytest.mark.parametrize('name', ['translationZ', 'rotationX', 'jawOpen', 'cheekPuff'])
def test_gradient_of_shading_matches_finite_differences(head, name):
  """With the triangle of every pixel held still, as the rasteriser does, shading is smooth."""
  start = _frame(jawOpen=0.2, rotationY=0.2)
  names = schema.EXPRESSION_NAMES + schema.MOTION_NAMES
  at = jnp.concatenate([start.expression, start.motion])

  def project(vector):
    frame = Coefficients(vector[:50], vector[50:])
    vertices = render.posed(head, jnp.zeros(80), frame)
    return vertices, camera.project(camera.DEFAULT, vertices, SIZE)

  held = raster.rasterize(project(at)[1], head.triangles, SIZE)
  # Triangles seen at a grazing angle bend too fast for a finite step.
  steady = (held.triangle >= 0) & _flat(project(at)[1], head, held)

  def shading(vector, fragments):
    vertices, projected = project(vector)
    if fragments is None:
      fragments = raster.rasterize(projected, head.triangles, SIZE)
    else:
      corners = projected[head.triangles]
      fragments = raster.Fragments(held.triangle, *raster._locate(corners, held.triangle, SIZE))
    normals = raster.interpolate(
      fragments, head.triangles, render.normals(vertices, head.triangles)
    )
    light_ = light.shade(render.unit(normals), light.DEFAULT_LIGHT)[..., 0]
    return jnp.where(steady, light_, 0).sum()

  direction = jnp.zeros(62).at[names.index(name)].set(1.0)
  slope = jnp.vdot(jax.jit(jax.grad(lambda v: shading(v, None)))(at), direction)
  value, step = jax.jit(lambda v: shading(v, held)), 2e-3
  want = (value(at + step * direction) - value(at - step * direction)) / (2 * step)
  np.testing.assert_allclose(slope, want, rtol=0.05, atol=0.2)


def _flat(projected, head, fragments):
  corners = projected[head.triangles][..., :2]
  one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
  area = -(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]) / 2
  return (area > 0.2)[fragments.triangle]


def test_gradients_are_finite_everywhere(head):
  def loss(frame):
    picture = render.render(head, NOBODY, frame, 32)
    return (picture.rgb**2).sum() + jnp.where(picture.mask > 0, picture.depth, 0).sum()

  gradient = jax.jit(jax.grad(loss))(_frame(jawOpen=0.3, rotationY=0.1))
  for leaf in jax.tree.leaves(gradient):
    assert np.isfinite(leaf).all()
  assert abs(gradient.motion[schema.MOTION_NAMES.index('rotationY')]) > 1e-3


def test_ambient_light_is_the_same_everywhere():
  normals = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
  normals /= np.linalg.norm(normals, axis=1, keepdims=True)
  ambient = np.zeros(9, np.float32)
  ambient[0] = 1
  shaded = light.shade(normals, ambient)
  np.testing.assert_allclose(shaded, np.full((10, 1), np.sqrt(np.pi) / 2), rtol=1e-5)


def test_light_from_one_side_peaks_on_that_side():
  """The linear harmonics are a cosine lobe: largest for the normal that faces the light."""
  rng = np.random.default_rng(0)
  normals = rng.normal(size=(500, 3)).astype(np.float32)
  normals /= np.linalg.norm(normals, axis=1, keepdims=True)
  for index, axis in ((1, (0, -1, 0)), (2, (0, 0, 1)), (3, (-1, 0, 0))):
    one = np.zeros(9, np.float32)
    one[index] = 1
    brightest = normals[np.asarray(light.shade(normals, one))[:, 0].argmax()]
    assert brightest @ np.array(axis) > 0.9
