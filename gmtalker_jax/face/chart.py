"""Where a point of the skin lies in a texture: the mean head, unrolled.

A cylinder around the head, cut open at the back, with two bends. Under the chin and the nose the
skin runs backward at almost one height, so below the eyes a row of the chart climbs toward the
back; and toward the crown the axis leans back, so that the pole lies where no camera looks.
"""

import jax
import jax.numpy as jnp

from gmtalker_jax.face.morphable import GROUPS

_HALF_ANGLE = 1.9  # rad: what lies farther back falls on the edge
_AXIS, _LEAN = -0.15, -0.35  # z of the axis at the neck, and how far it leans back at the crown
_CLIMB = 0.45  # of a row below the mouth, height per depth
_BOTTOM, _TOP = -0.72, 0.90


@jax.jit
def unroll(points: jax.Array) -> jax.Array:
  """Texture coordinates [..., 2] (0..1 right, 0..1 down) of points [..., 3] of the mean head.

  A head that is its own mirror image has a chart that is: u becomes 1 - u.
  """
  x, y, z = jnp.moveaxis(points, -1, 0)
  axis = _AXIS + _LEAN * _ramp((y - 0.1) / 0.75)
  angle = jnp.arctan2(x, z - axis)
  height = y + _CLIMB * (z - 0.6) * _ramp((0.35 - y) / 0.55)
  u = angle / (2 * _HALF_ANGLE) + 0.5
  v = (_TOP - height) / (_TOP - _BOTTOM + 0.6 * _CLIMB)
  return jnp.clip(jnp.stack([u, v], -1), 0, 1)


@jax.jit
def skin(albedo: jax.Array, triangles: jax.Array, triangle_group: jax.Array) -> jax.Array:
  """[V]: 1 on the outer skin, which a texture covers; 0 inside the mouth and nose, on eyes, teeth.

  Skin, lips and hair are never as red as the cavities are: the share of green tells them apart.

  Args:
    albedo: [V, 3] of the head.
    triangles: [F, 3] int32.
    triangle_group: [F], see morphable.GROUPS.
  """
  outer = (triangle_group == GROUPS.index('skin')).astype(jnp.float32)[:, None]
  green = albedo[:, 1] / jnp.maximum(albedo[:, 0], 1e-6)
  return jnp.zeros(len(albedo)).at[triangles].set(outer) * jnp.clip((green - 0.38) / 0.12, 0, 1)


def look_up(texture: jax.Array, coordinates: jax.Array) -> jax.Array:
  """Bilinear colours [..., C] of a texture [R, R, C] at coordinates [..., 2] as of `unroll`."""
  size = len(texture)
  at = jnp.clip(coordinates * size - 0.5, 0, size - 1)
  low = jnp.minimum(at.astype(jnp.int32), size - 2)
  u, v = jnp.moveaxis((at - low)[..., None], -2, 0)
  first = low[..., 1] * size + low[..., 0]
  flat = texture.reshape(-1, texture.shape[-1])
  top = (1 - u) * flat[first] + u * flat[first + 1]
  bottom = (1 - u) * flat[first + size] + u * flat[first + size + 1]
  return (1 - v) * top + v * bottom


def _ramp(share: jax.Array) -> jax.Array:
  share = jnp.clip(share, 0, 1)
  return share * share * (3 - 2 * share)
