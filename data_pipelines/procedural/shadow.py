"""Soft shadows of the key light: a small depth picture taken from the light (variance shadows).

Donnelly & Lauritzen 2006: blur depth and its square; Chebyshev's inequality then bounds the share
of light that passes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from gmtalker_jax.face import camera as cameras
from gmtalker_jax.face import raster
from gmtalker_jax.face.morphable import PRECISION

SIZE = 96
EYE = cameras.Camera(focal=12 / 2.6, distance=12.0)  # far away: nearly parallel rays
BLUR = (0.06, 0.24, 0.40, 0.24, 0.06)
BEHIND = 0.6  # head widths that the background lies behind the head, seen from the light
BIAS = 0.025


class Shadow(NamedTuple):
  """What the light sees."""

  basis: jax.Array  # [3, 3] rows: right, up, towards the light
  depth: jax.Array  # [SIZE * SIZE] blurred
  squared: jax.Array  # [SIZE * SIZE] blurred square


def cast(points: jax.Array, triangles: jax.Array, direction: jax.Array) -> Shadow:
  """Looks at points [N, 3] from `direction` [3] (unit, towards the light)."""
  right = jnp.cross(jnp.array([0.0, 1.0, 0.0]), direction)
  right = right / jnp.linalg.norm(right)
  basis = jnp.stack([right, jnp.cross(direction, right), direction])
  seen = cameras.project(EYE, jnp.matmul(points, basis.T, precision=PRECISION), SIZE)
  depth = raster.rasterize(seen, triangles, SIZE).depth
  depth = jnp.minimum(depth, EYE.distance + BEHIND)
  return Shadow(basis, _blur(depth).reshape(-1), _blur(depth**2).reshape(-1))


def lit(shadow: Shadow, points: jax.Array) -> jax.Array:
  """Share of the light that reaches points [P, 3]: [P] in 0..1."""
  seen = cameras.project(EYE, jnp.matmul(points, shadow.basis.T, precision=PRECISION), SIZE)
  x, y = (jnp.clip(seen[:, k] - 0.5, 0, SIZE - 1.001) for k in (0, 1))
  x0, y0 = x.astype(jnp.int32), y.astype(jnp.int32)
  fx, fy = x - x0, y - y0
  first = y0 * SIZE + x0

  def look(texture):
    top = texture[first] * (1 - fx) + texture[first + 1] * fx
    low = texture[first + SIZE] * (1 - fx) + texture[first + SIZE + 1] * fx
    return top * (1 - fy) + low * fy

  mean = look(shadow.depth)
  variance = jnp.maximum(look(shadow.squared) - mean**2, 4e-4)
  beyond = jnp.maximum(seen[:, 2] - BIAS - mean, 0)
  share = variance / (variance + beyond**2)
  return jnp.clip((share - 0.25) / 0.75, 0, 1)  # Chebyshev leaks light; cut its tail


def _blur(image: jax.Array) -> jax.Array:
  for axis in (0, 1):
    padded = jnp.pad(image, [(2, 2) if a == axis else (0, 0) for a in (0, 1)], mode='edge')
    shifted = [w * jax.lax.slice_in_dim(padded, k, k + SIZE, axis=axis) for k, w in enumerate(BLUR)]
    image = sum(shifted[1:], shifted[0])
  return image
