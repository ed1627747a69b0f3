"""The pin-hole camera of the plain rendering (method 1.3: focal 1315 at 512 px)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Camera(NamedTuple):
  """A camera on the z axis that looks down it; the optical axis meets the middle of the image."""

  focal: float = 1315 / 512  # image widths
  distance: float = 6.0  # head widths from the origin


DEFAULT = Camera()


def project(camera: Camera, points: jax.Array, size: int) -> jax.Array:
  """Projects points [..., N, 3] to [..., N, 3]: x px, y px, depth.

  A pixel (column i, row j) has its centre at (i + 0.5, j + 0.5); y goes down. The depth is the
  distance to the camera plane in head widths: smaller is nearer. Points must lie before the
  camera (depth > 0); the rasteriser drops triangles that do not.
  """
  x, y, z = jnp.moveaxis(points, -1, 0)
  depth = camera.distance - z
  scale = camera.focal * size / depth
  return jnp.stack([size / 2 + scale * x, size / 2 - scale * y, depth], -1)


def unproject(camera: Camera, projected: jax.Array, size: int) -> jax.Array:
  """The inverse of `project`: [..., N, 3] (x px, y px, depth) to head widths."""
  x, y, depth = jnp.moveaxis(projected, -1, 0)
  scale = depth / (camera.focal * size)
  return jnp.stack([(x - size / 2) * scale, (size / 2 - y) * scale, camera.distance - depth], -1)
