"""A point of the face is found where it was; what opened is said not to have been seen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmtalker_jax.data import schema
from gmtalker_jax.face import camera, light, raster, render
from gmtalker_jax.face.warp import warp
from gmtalker_jax.io.heads import load_head
from gmtalker_jax.types import Coefficients

SIZE = 96
LIGHT = jnp.asarray(light.DEFAULT_LIGHT)
MOUTH_INSIDE = 3  # groups of the head from here on: teeth, tongue, the hollow behind them


@pytest.fixture(scope='module')
def head():
  own = render.personal(load_head(), render.Person.plain(np.zeros(80, np.float32)))
  return jax.tree.map(jnp.asarray, own)


def face(**values):
  expression = np.array([values.get(name, 0.0) for name in schema.EXPRESSION_NAMES], np.float32)
  motion = np.array([values.get(name, 0.0) for name in schema.MOTION_NAMES], np.float32)
  return Coefficients(jnp.asarray(expression), jnp.asarray(motion))


def projected(head, coefficients):
  vertices = render.posed(head, jnp.zeros(0), coefficients)
  return np.asarray(camera.project(camera.DEFAULT, vertices, SIZE))


def test_nothing_moves_where_nothing_changes(head):
  same = face(jawOpen=0.3, rotationY=0.2)
  source, there, seen, gain = map(np.asarray, warp(head, LIGHT, same, same, SIZE))
  grid = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), -1) + 0.5
  assert 0.1 < there.mean() < 0.6
  np.testing.assert_allclose(source[there], grid[there], atol=0.02)
  assert (seen == there).all()
  assert (source[~there] == 0).all()
  np.testing.assert_allclose(gain, 1, atol=1e-5)


def test_of_an_eye_that_opens_the_lid_had_hidden_a_part(head):
  """The lid lies so near the ball that only the name of the part tells them apart."""
  squeezed, open_wide = (face(blinkLeft=b, blinkRight=b) for b in (1.0, 0.0))
  source, there, seen, _ = map(np.asarray, warp(head, LIGHT, squeezed, open_wide, 256))
  fragments = [
    raster.rasterize(
      camera.project(camera.DEFAULT, render.posed(head, jnp.zeros(0), c), 256), head.triangles, 256
    )
    for c in (squeezed, open_wide)
  ]
  parts = [
    np.where(f.triangle >= 0, np.asarray(head.triangle_group)[f.triangle], -1) for f in fragments
  ]
  eyes = (parts[1] == 1) | (parts[1] == 2)
  shut = ~np.isin(parts[0], (1, 2))
  column, row = source[eyes].astype(int).T
  assert (seen[eyes] <= ~shut[row, column]).all()  # never skin for an eye
  assert shut[row, column].mean() > 0.5
  assert seen[there & ~eyes].mean() > 0.9


def test_a_vertex_that_is_seen_is_found_where_it_was(head):
  """Independent of the surface: vertices are projected, and looked up at their pixel."""
  before, after = face(rotationY=0.15), face(rotationY=0.15, browInnerUp=1.0, mouthSmileLeft=0.8)
  old, new = projected(head, before), projected(head, after)
  source, there, *_ = map(np.asarray, warp(head, LIGHT, before, after, SIZE))
  depth = np.asarray(raster.rasterize(jnp.asarray(new), head.triangles, SIZE).depth)
  column, row = new[:, :2].astype(int).T
  inside = (column >= 1) & (column < SIZE - 1) & (row >= 1) & (row < SIZE - 1)
  column, row = np.where(inside, column, 0), np.where(inside, row, 0)
  shown = inside & there[row, column] & (np.abs(new[:, 2] - depth[row, column]) < 0.01)
  moved = np.linalg.norm(old[:, :2] - new[:, :2], axis=-1) > 1.0
  assert (shown & moved).sum() > 30
  # A vertex lies up to 0.7 px from the middle of its pixel.
  found = source[row, column][shown & moved] - old[shown & moved, :2]
  assert np.linalg.norm(found, axis=-1).mean() < 0.7
  unmoved = new[shown & moved, :2] - old[shown & moved, :2]
  assert np.linalg.norm(unmoved, axis=-1).mean() > 1.2


def test_the_inside_of_a_mouth_that_opens_was_not_seen(head):
  closed, opened = face(), face(jawOpen=0.8)
  _, there, seen, _ = map(np.asarray, warp(head, LIGHT, closed, opened, SIZE))
  vertices = jnp.asarray(projected(head, opened))
  triangle = np.asarray(raster.rasterize(vertices, head.triangles, SIZE).triangle)
  inside = np.where(triangle >= 0, np.asarray(head.triangle_group)[triangle], -1) >= MOUTH_INSIDE
  assert inside.sum() > 20
  assert (~seen[inside]).mean() > 0.8
  assert seen[there & ~inside].mean() > 0.98
  _, there, seen, _ = map(np.asarray, warp(head, LIGHT, opened, closed, SIZE))
  assert seen[there].mean() > 0.95  # all but the throat, which a low chin hid
