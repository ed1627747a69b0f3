"""A z-buffer in pure JAX: projected triangles to fragments, on any device, for any mesh.

Every triangle is cut into square blocks of pixels, the blocks of all triangles make one work list,
and the list is worked off in chunks of a fixed length. So small triangles cost little, large ones
are never clipped, and shapes stay static. Which triangle a pixel shows is decided without
gradients; where in the triangle it lies is then computed anew, with gradients.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

EDGE = 1e-4  # barycentric slack, so that rounding opens no cracks between neighbours


class Fragments(NamedTuple):
  """What each pixel shows."""

  triangle: jax.Array  # [H, W] int32, -1 = none
  barycentric: jax.Array  # [H, W, 3] perspective-correct, sums to 1; 0 where there is none
  depth: jax.Array  # [H, W] distance to the camera plane; inf where there is none


class _Setup(NamedTuple):
  """Per triangle: screen planes relative to a corner, and the pixels of its bounding box."""

  origin: jax.Array  # [F, 2] px, corner 0
  second: jax.Array  # [F, 2] gradient of the 2nd barycentric coordinate per px
  third: jax.Array  # [F, 2] gradient of the 3rd
  inverse_depth: jax.Array  # [F, 3] of the corners
  low: jax.Array  # [F, 2] int32, first pixel centre inside the bounding box
  high: jax.Array  # [F, 2] int32, last one
  visible: jax.Array  # [F] bool: faces the camera, lies before it, meets a pixel centre


def rasterize(projected: jax.Array, triangles: jax.Array, size: int) -> Fragments:
  """Finds the nearest front-facing triangle of every pixel of a size x size image.

  Differentiable in `projected` through `barycentric` and `depth`; `triangle` is a constant. Works
  under jit and vmap.

  Args:
    projected: [V, 3] x px, y px (down), depth; see camera.project.
    triangles: [F, 3] int32. A triangle shows its front, counter-clockwise as seen (y up).
    size: pixels, static.
  """
  corners = projected[triangles]
  keys = _nearest(jax.lax.stop_gradient(corners), size)
  count = len(triangles)
  found = (keys & ((1 << count.bit_length()) - 1)).astype(jnp.int32)  # triangle + 1, 0 = none
  triangle = found.reshape(size, size) - 1
  return Fragments(triangle, *_locate(corners, triangle, size))


def interpolate(fragments: Fragments, triangles: jax.Array, attributes: jax.Array) -> jax.Array:
  """Interpolates vertex attributes [V, C] to [H, W, C]; 0 where there is no triangle."""
  count, channels = len(triangles), attributes.shape[-1]
  per_triangle = attributes[triangles].reshape(count, 3 * channels)
  at_pixel = per_triangle[jnp.maximum(fragments.triangle, 0)]
  corners = jnp.split(at_pixel.reshape(*fragments.triangle.shape, 3 * channels), 3, -1)
  # Written out, as below: a CPU is slow at sums over short axes.
  one, two, three = (fragments.barycentric[..., i : i + 1] for i in range(3))
  return corners[0] * one + corners[1] * two + corners[2] * three


def _nearest(corners: jax.Array, size: int) -> jax.Array:
  """Returns [size * size] uint32: quantised nearness, then triangle + 1; 0 where there is none."""
  setup = _prepare(corners, size)
  block = block_size(size)
  chunk = _chunk_length(len(corners), size, block)
  blocks = jnp.where(setup.visible[:, None], (setup.high - setup.low) // block + 1, 0)  # [F, 2]
  per_triangle = blocks[:, 0] * blocks[:, 1]
  ends = jnp.cumsum(per_triangle)
  starts = ends - per_triangle
  near, scale = _nearness_scale(setup, len(corners))

  def work(state):
    first, keys = state
    index = first + jnp.arange(chunk)
    triangle = _owners(starts, ends, first, chunk)
    offset = index - starts[triangle]
    columns = jnp.maximum(blocks[triangle, 0], 1)
    corner = jnp.stack([offset % columns, offset // columns], -1) * block  # px from `low`
    pixels, inside, nearness = _cover(setup, triangle, corner, block)
    inside = inside & (index < ends[-1])[:, None]
    level = jnp.clip((nearness - near) * scale, 0, _levels(len(corners))).astype(jnp.uint32)
    key = (level << len(corners).bit_length()) | (triangle[:, None] + 1).astype(jnp.uint32)
    flat = jnp.where(inside, pixels[..., 1] * size + pixels[..., 0], size * size)
    return first + chunk, keys.at[flat].max(key, mode='drop')

  start = jnp.zeros((), ends.dtype), jnp.zeros(size * size, jnp.uint32)
  return jax.lax.while_loop(lambda state: state[0] < ends[-1], work, start)[1]


def block_size(size: int) -> int:
  """Edge of a block in px: about the size of a triangle of the head at `size`."""
  return 2 if size <= 192 else 4


def _chunk_length(count: int, size: int, block: int) -> int:
  """Long enough that the head at its usual distance is done in one go."""
  return max(256, count // 2 + size * size // (block * block))


def _prepare(corners: jax.Array, size: int) -> _Setup:
  xy, depth = corners[..., :2], corners[..., 2]
  one, two = xy[:, 1] - xy[:, 0], xy[:, 2] - xy[:, 0]
  area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
  inverse = (1 / jnp.where(area < 0, area, -1.0))[:, None]  # y goes down: a front has area < 0
  low = jnp.ceil(xy.min(1) - 0.5).clip(0, size).astype(jnp.int32)
  high = jnp.floor(xy.max(1) - 0.5).clip(-1, size - 1).astype(jnp.int32)
  before = (depth > 0).all(1)
  return _Setup(
    origin=xy[:, 0],
    second=jnp.stack([two[:, 1], -two[:, 0]], -1) * inverse,
    third=jnp.stack([-one[:, 1], one[:, 0]], -1) * inverse,
    inverse_depth=1 / jnp.where(before[:, None], depth, 1.0),
    low=low,
    high=high,
    visible=(area < 0) & before & (high >= low).all(1),
  )


def _nearness_scale(setup: _Setup, count: int) -> tuple[jax.Array, jax.Array]:
  """The bits of the key are spent on the depth range of what is visible and on nothing else."""
  visible = setup.visible[:, None]
  low = jnp.where(visible, setup.inverse_depth, jnp.inf).min()
  high = jnp.where(visible, setup.inverse_depth, -jnp.inf).max()
  return low, _levels(count) / jnp.maximum(high - low, 1e-12)


def _levels(count: int) -> int:
  """Depth levels that fit into 32 bits beside a triangle number; float32 holds 24 bits."""
  return 2 ** min(32 - count.bit_length(), 24) - 1


def _owners(starts: jax.Array, ends: jax.Array, first: jax.Array, length: int) -> jax.Array:
  """Triangles [length] of the work items first, first + 1, ...: the last one that has started."""
  mine = (ends > first) & (starts < first + length) & (ends > starts)
  slot = jnp.where(mine, jnp.maximum(starts - first, 0), length)
  marks = jnp.zeros(length, jnp.int32).at[slot].max(jnp.arange(len(starts)), mode='drop')
  return jax.lax.cummax(marks)


def _cover(
  setup: _Setup, triangle: jax.Array, corner: jax.Array, block: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Pixels [N, P, 2] of N blocks, whether each lies inside [N, P], and 1 / depth there [N, P]."""
  steps = jnp.arange(block)
  grid = jnp.stack(jnp.meshgrid(steps, steps), -1).reshape(1, -1, 2)
  pixels = (setup.low[triangle] + corner)[:, None] + grid
  offset = pixels + 0.5 - setup.origin[triangle][:, None]
  x, y = offset[..., 0], offset[..., 1]
  second, third = (
    x * plane[triangle, :1] + y * plane[triangle, 1:] for plane in (setup.second, setup.third)
  )
  first = 1 - second - third
  inside = (first >= -EDGE) & (second >= -EDGE) & (third >= -EDGE)
  inside &= (pixels <= setup.high[triangle][:, None]).all(-1)
  inverse = setup.inverse_depth[triangle]
  nearness = first * inverse[:, :1] + second * inverse[:, 1:2] + third * inverse[:, 2:]
  return pixels, inside, nearness


def _locate(corners: jax.Array, triangle: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
  """Barycentric coordinates [H, W, 3] and depth [H, W] of the pixel centres in `triangle`."""
  hit = triangle >= 0
  at_pixel = corners.reshape(-1, 9)[jnp.maximum(triangle, 0)].reshape(size, size, 3, 3)
  x0, y0, z0, x1, y1, z1, x2, y2, z2 = jnp.moveaxis(at_pixel.reshape(size, size, 9), -1, 0)
  centre = jnp.arange(size) + 0.5
  px, py = jnp.meshgrid(centre, centre)
  area = (x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0)
  inverse = 1 / jnp.where(hit, area, 1.0)
  second = ((px - x0) * (y2 - y0) - (py - y0) * (x2 - x0)) * inverse
  third = ((x1 - x0) * (py - y0) - (y1 - y0) * (px - x0)) * inverse
  screen = (1 - second - third, second, third)
  weights = [b / jnp.where(hit, z, 1.0) for b, z in zip(screen, (z0, z1, z2), strict=True)]
  depth = 1 / jnp.where(hit, sum(weights), 1.0)
  barycentric = jnp.where(hit[..., None], jnp.stack(weights, -1) * depth[..., None], 0.0)
  return barycentric, jnp.where(hit, depth, jnp.inf)
