"""Spherical-harmonics lighting (method 1.3: the constants of the 3DMM field)."""

import math

import jax
import jax.numpy as jnp
import numpy as np

A0, A1, A2 = math.pi, 2 * math.pi / math.sqrt(3), 2 * math.pi / math.sqrt(8)
C0 = 1 / math.sqrt(4 * math.pi)
C1 = math.sqrt(3) / math.sqrt(4 * math.pi)
C2 = 3 * math.sqrt(5) / math.sqrt(12 * math.pi)
D0 = 0.5 / math.sqrt(3)

# One fixed light for every rendering, so that shading speaks of shape and motion alone: soft from
# everywhere, stronger from above and in front, a little from image left to model the nose.
DEFAULT_LIGHT = np.array([0.70, -0.13, 0.26, 0.09, 0.0, 0.0, 0.02, 0.0, 0.0], np.float32)


def basis(normals: jax.Array) -> jax.Array:
  """The nine harmonics [..., 9] of unit normals [..., 3], each times its cosine-lobe factor."""
  x, y, z = jnp.moveaxis(normals, -1, 0)
  terms = (
    jnp.full_like(x, A0 * C0),
    -A1 * C1 * y,
    A1 * C1 * z,
    -A1 * C1 * x,
    A2 * C2 * x * y,
    -A2 * C2 * y * z,
    A2 * C2 * D0 * (3 * z * z - 1),
    -A2 * C2 * x * z,
    A2 * C2 * 0.5 * (x * x - y * y),
  )
  return jnp.stack(terms, -1)


def shade(normals: jax.Array, light: jax.Array | np.ndarray) -> jax.Array:
  """Irradiance [..., C] of unit normals [..., 3] under light [9] (C = 1) or [9, C]."""
  light = jnp.asarray(light).reshape(9, -1)
  return jnp.maximum(jnp.matmul(basis(normals), light), 0.0)
