import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmtalker_jax.data import schema
from gmtalker_jax.face import camera, morphable, raster
from gmtalker_jax.io.heads import load_head

RASTERIZE = jax.jit(raster.rasterize, static_argnames='size')


def _slow(projected, triangles, size):
  """A z-buffer with loops, in float64: triangle [H, W] and depth [H, W]."""
  nearest, found = np.zeros((size, size)), np.full((size, size), -1)
  for number, corners in enumerate(np.asarray(projected, float)[np.asarray(triangles)]):
    (x0, y0, _), (x1, y1, _), (x2, y2, _) = corners
    area = (x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0)
    if area >= 0 or (corners[:, 2] <= 0).any():
      continue
    low = np.clip(np.floor(corners[:, :2].min(0)).astype(int), 0, size)
    high = np.clip(np.ceil(corners[:, :2].max(0)).astype(int) + 1, 0, size)
    for row in range(low[1], high[1]):
      for column in range(low[0], high[0]):
        px, py = column + 0.5, row + 0.5
        second = ((px - x0) * (y2 - y0) - (py - y0) * (x2 - x0)) / area
        third = ((x1 - x0) * (py - y0) - (y1 - y0) * (px - x0)) / area
        weights = np.array([1 - second - third, second, third])
        nearness = (weights / corners[:, 2]).sum()
        if (weights >= 0).all() and nearness > nearest[row, column]:
          nearest[row, column], found[row, column] = nearness, number
  return found, np.divide(1, nearest, out=np.full_like(nearest, np.inf), where=nearest > 0)


def _soup(seed, count=24, size=24):
  """Random triangles of every size, many larger than a block, some behind the camera."""
  rng = np.random.default_rng(seed)
  points = rng.uniform(-8, size + 8, (3 * count, 2))
  depth = rng.uniform(-0.5, 5, (3 * count, 1))
  triangles = np.arange(3 * count).reshape(count, 3)
  return np.concatenate([points, depth], 1).astype(np.float32), triangles.astype(np.int32)


@pytest.fixture(scope='module')
def head():
  return load_head()


def _projected(head, size, jaw=0.0, translation=(0.0, 0.0, 0.0)):
  weights = jnp.zeros(52).at[schema.BLENDSHAPES.index('jawOpen')].set(jaw)
  vertices = morphable.vertices(head, jnp.zeros(80), weights, jnp.zeros(4))
  vertices = morphable.move(vertices, jnp.array([0.1, 0.3, 0.1]), jnp.array(translation))
  return camera.project(camera.DEFAULT, vertices, size)


@pytest.mark.parametrize('seed', range(6))
def test_soup_equals_the_slow_z_buffer(seed):
  projected, triangles = _soup(seed)
  fragments = RASTERIZE(projected, triangles, size=24)
  found, depth = _slow(projected, triangles, 24)
  assert (found >= 0).any()
  assert (np.asarray(fragments.triangle) == found).mean() >= 0.995
  same = (np.asarray(fragments.triangle) == found) & (found >= 0)
  np.testing.assert_allclose(np.asarray(fragments.depth)[same], depth[same], rtol=1e-3)


# The last case is so near that the work list needs several chunks and triangles are large.
@pytest.mark.parametrize('translation', [(0.0, 0.0, 0.0), (0.1, 0.0, 4.0)], ids=['usual', 'near'])
def test_head_equals_the_slow_z_buffer(head, translation):
  projected = _projected(head, 64, jaw=0.6, translation=translation)
  fragments = RASTERIZE(projected, head.triangles, size=64)
  found, depth = _slow(projected, head.triangles, 64)
  assert (np.asarray(fragments.triangle) == found).mean() >= 0.995
  both = np.isfinite(depth) & np.isfinite(fragments.depth)
  error = np.asarray(fragments.depth)[both] - depth[both]
  assert (abs(error) < 1e-4).mean() >= 0.995


def test_one_triangle_may_fill_the_image():
  projected = jnp.array([[-500.0, 600.0, 2.0], [700.0, 600.0, 2.0], [30.0, -700.0, 2.0]])
  fragments = RASTERIZE(projected, jnp.array([[0, 1, 2]]), size=64)
  assert (fragments.triangle == 0).all()
  turned = RASTERIZE(projected, jnp.array([[0, 2, 1]]), size=64)
  assert (turned.triangle == -1).all()
  assert jnp.isinf(turned.depth).all()


def test_nothing_in_view_is_empty():
  projected = jnp.array([[-50.0, 60.0, 2.0], [-20.0, 60.0, 2.0], [-30.0, -70.0, 2.0]])
  fragments = RASTERIZE(projected, jnp.array([[0, 1, 2]]), size=16)
  assert (fragments.triangle == -1).all()


def test_interpolation_is_perspective_correct(head):
  size = 64
  projected = _projected(head, size)
  vertices = camera.unproject(camera.DEFAULT, projected, size)
  fragments = RASTERIZE(projected, head.triangles, size=size)
  points = raster.interpolate(fragments, head.triangles, vertices)
  again = np.asarray(camera.project(camera.DEFAULT, points.reshape(-1, 3), size))
  rows, columns = np.divmod(np.arange(size * size), size)
  hit = np.asarray(fragments.triangle).ravel() >= 0
  np.testing.assert_allclose(again[hit, 0], columns[hit] + 0.5, atol=1e-2)
  np.testing.assert_allclose(again[hit, 1], rows[hit] + 0.5, atol=1e-2)
  np.testing.assert_allclose(again[hit, 2], np.asarray(fragments.depth).ravel()[hit], rtol=1e-5)
  assert not np.asarray(points).reshape(-1, 3)[~hit].any()


def test_vmap_equals_loop(head):
  batch = jnp.stack([_projected(head, 64, jaw, (0, 0, z)) for jaw, z in ((0, 0), (1, 2), (0, 4))])
  together = jax.jit(jax.vmap(lambda p: raster.rasterize(p, head.triangles, 64)))(batch)
  for i, projected in enumerate(batch):
    alone = RASTERIZE(projected, head.triangles, size=64)
    np.testing.assert_array_equal(together.triangle[i], alone.triangle)
    np.testing.assert_allclose(together.barycentric[i], alone.barycentric, atol=1e-3)
