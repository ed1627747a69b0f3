"""Where a face was before its expression changed: what bends a photograph to another expression."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gmtalker_jax.face import camera as cameras
from gmtalker_jax.face import light as lights
from gmtalker_jax.face import raster, render
from gmtalker_jax.face.camera import Camera
from gmtalker_jax.face.morphable import Head
from gmtalker_jax.types import Coefficients

_DARK = 0.05  # irradiance: darker than this is not believed
_HIDDEN = 0.04  # head widths: what lies deeper than what was seen at its place was hidden by it


class Warp(NamedTuple):
  """For each pixel of the picture after: which point of the head it shows, and where that was."""

  source: jax.Array  # [H, W, 2] px (x right, y down) in the picture before; 0 outside the head
  head: jax.Array  # [H, W] bool: the head is here
  seen: jax.Array  # [H, W] bool: the point was seen before; of a mouth that opens it was not
  gain: jax.Array  # [H, W, C] how much brighter the point became as it turned in the light; or 1


@partial(jax.jit, static_argnames=('size', 'camera'))
def warp(
  head: Head,
  light: jax.Array,
  before: Coefficients,
  after: Coefficients,
  size: int,
  camera: Camera = cameras.DEFAULT,
) -> Warp:
  """Follows the surface of a head from one picture of it to another.

  Args:
    head: of one person, see render.personal.
    light: of both pictures: [9] or [9, 3], see light.shade.
    before, after: expression [50] and motion [12].
    size: pixels of both pictures.
    camera: of both pictures.
  """
  vertices = [render.posed(head, jnp.zeros(0), c) for c in (before, after)]
  old, new = (cameras.project(camera, points, size) for points in vertices)
  normals = [render.normals(points, head.triangles) for points in vertices]
  shown = raster.rasterize(new, head.triangles, size)
  was, *normals = jnp.split(
    raster.interpolate(shown, head.triangles, jnp.concatenate([old, *normals], -1)), 3, -1
  )
  column, row = (jnp.clip(was[..., axis].astype(jnp.int32), 0, size - 1) for axis in (0, 1))
  at_first = raster.rasterize(old, head.triangles, size)
  hit = shown.triangle >= 0
  part, part_at_first = (
    jnp.where(seen.triangle >= 0, head.triangle_group[seen.triangle], -1)
    for seen in (shown, at_first)
  )
  # A lid lies so close to its eye that depths do not tell them apart.
  open_to_see = (part <= 0) | (part == part_at_first[row, column])
  near = was[..., 2] < at_first.depth[row, column] + _HIDDEN
  then, now = (lights.shade(render.unit(normal), light) for normal in normals)
  gain = jnp.where(hit[..., None], now / jnp.maximum(then, _DARK), 1.0)
  return Warp(was[..., :2], hit, hit & near & open_to_see, gain)
