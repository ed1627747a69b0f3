"""The linear head: coefficients to vertices and landmarks (method 1.3).

Head space: the unit is the width of the head, the origin the pivot near the atlas, x image right
(the subject's left), y up, z toward the camera. All rotations are right-handed about these axes:

  rotationX, gaze pitch   the nose (the pupil) goes down, i.e. + is chin down
  rotationY, gaze yaw     the nose (the pupil) goes to image right
  rotationZ               the crown goes to image left (counter-clockwise as the viewer sees it)
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.types import Coefficients

# Vertices are metres of nobody's ruler but a pixel is a thousandth of them: no bfloat16 here.
PRECISION = jax.lax.Precision.HIGHEST

_LID = 0.15  # of the way of the fastest point: what a blink moves so far is lid all over


@struct.dataclass
class Head:
  """A linear head model. V vertices, F triangles, I identity directions; units of head widths."""

  mean: jax.Array  # [V, 3]
  identity: jax.Array  # [I, V, 3] one standard deviation per direction
  expression: jax.Array  # [52, V, 3] in the order of schema.BLENDSHAPES; BFM: [64], GNM: [383]
  triangles: jax.Array  # [F, 3] int32, counter-clockwise from outside
  triangle_group: jax.Array  # [F] int8, see GROUPS
  uv: jax.Array  # [V, 2] texture coordinates, see chart.py
  skin: jax.Array  # [V] 0..1, how far a texture covers it
  albedo: jax.Array  # [V, 3] linear reflectance 0..1; the iris is painted in render.py
  eye_centre: jax.Array  # [2, 3] left, right: pivots of the mean head
  eye_vertices: jax.Array  # [2, E] int32 vertices of the left and the right eyeball; BFM: E = 0
  landmark_triangle: jax.Array  # [478] int32, the MediaPipe face mesh; BFM: [68], GNM: [0]
  landmark_barycentric: jax.Array  # [478, 3]


GROUPS = ('skin', 'left eye', 'right eye', 'upper teeth', 'lower teeth', 'tongue')


def blendshapes(coefficients: Coefficients) -> jax.Array:
  """Puts the blinks (motion) back among the expression: [..., 50], [..., 12] -> [..., 52].

  In the layouts 'bfm' ([..., 64], [..., 6]) and 'gnm' ([..., 383], [..., 12]) the expression is
  all there is.

  Raises:
    InputError: the coefficients are in none of the layouts.
  """
  expression, motion = coefficients.expression, coefficients.motion
  for layout in (schema.LAYOUTS['bfm'], schema.LAYOUTS['gnm']):
    if (expression.shape[-1], motion.shape[-1]) == (len(layout.expression), len(layout.motion)):
      return expression
  expected = len(schema.EXPRESSION_NAMES), len(schema.MOTION_NAMES)
  if (expression.shape[-1], motion.shape[-1]) != expected:
    raise InputError(
      f'got {expression.shape[-1]} expression and {motion.shape[-1]} motion coefficients, expected '
      f"{expected[0]} and {expected[1]}, use the layout 'arkit' (or another of data/schema.py)"
    )
  at = schema.BLINKS[0]
  parts = expression[..., :at], motion[..., schema.BLINK], expression[..., at:]
  return jnp.concatenate(parts, -1)


def split(blendshapes52: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Returns the expression [..., 50] and the blinks [..., 2] of blendshape weights [..., 52]."""
  first, after = schema.BLINKS[0], schema.BLINKS[1] + 1
  expression = (blendshapes52[..., :first], blendshapes52[..., after:])
  return jnp.concatenate(expression, -1), blendshapes52[..., first:after]


def vertices(head: Head, identity: jax.Array, blendshapes: jax.Array, gaze: jax.Array) -> jax.Array:
  """Returns vertices [..., V, 3] in head space (method 1.3).

  Linear in `identity` and `blendshapes`, but for the eyeballs, which turn about their own centres
  (and those move with the identity).

  Args:
    head: the model.
    identity: [..., I] in standard deviations.
    blendshapes: [..., 52] weights 0..1.
    gaze: [..., 4] rad, left pitch, left yaw, right pitch, right yaw; see the module docstring.
      Leading axes of the three broadcast.

  Raises:
    InputError: a last axis that does not fit the head.
  """
  _check(identity, head.identity.shape[0], 'identity coefficients')
  _check(blendshapes, head.expression.shape[0], 'blendshape weights')
  _check(gaze, 4, 'gaze angles')
  neutral = _displace(head.mean, identity, head.identity)
  moved = _displace(neutral, blendshapes, head.expression)
  return _turn_eyes(head, neutral, moved, gaze)


def displaced(head: Head, displacement: jax.Array | np.ndarray) -> Head:
  """Returns the head with vertices moved [V, 3] at rest: what no identity reaches of a person.

  Eyes that are opened by it close as far as the head's own: where a blink moves the skin, it takes
  the displacement back.

  Raises:
    InputError: the displacement is of another head.
  """
  if displacement.shape != head.mean.shape:
    raise InputError(
      f'got a displacement {list(displacement.shape)}, expected {list(head.mean.shape)} as the '
      'head; prepare the person again'
    )
  blinks = head.expression[np.array(schema.BLINKS)]
  size = jnp.linalg.norm(blinks, axis=-1, keepdims=True)
  lid = jnp.clip(size / (_LID * size.max(1, keepdims=True)), 0, 1)
  return dataclasses.replace(
    head,
    mean=head.mean + displacement,
    expression=head.expression.at[np.array(schema.BLINKS)].add(-lid * displacement[None]),
    eye_centre=head.eye_centre + jnp.asarray(displacement)[head.eye_vertices].mean(1),
  )


def rotation_matrix(angles: jax.Array) -> jax.Array:
  """Returns R = Rz Ry Rx [..., 3, 3] of right-handed angles x, y, z [..., 3] in rad."""
  cx, cy, cz = jnp.moveaxis(jnp.cos(angles), -1, 0)
  sx, sy, sz = jnp.moveaxis(jnp.sin(angles), -1, 0)
  rows = (
    (cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx),
    (sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx),
    (-sy, cy * sx, cy * cx),
  )
  return jnp.stack([jnp.stack(row, -1) for row in rows], -2)


def move(points: jax.Array, rotation: jax.Array, translation: jax.Array) -> jax.Array:
  """Turns points [..., N, 3] by angles [..., 3] about the origin, then adds [..., 3]."""
  turned = jnp.einsum('...ij,...nj->...ni', rotation_matrix(rotation), points, precision=PRECISION)
  shift = translation[..., None, :]
  return turned + jnp.broadcast_to(shift, jnp.broadcast_shapes(shift.shape, turned.shape))


def landmarks(head: Head, vertices: jax.Array) -> jax.Array:
  """Returns the 478 face mesh points [..., 478, 3] of vertices [..., V, 3], in their space."""
  corners = vertices[..., head.triangles[head.landmark_triangle], :]  # [..., 478, 3, 3]
  return jnp.einsum('...lkc,lk->...lc', corners, head.landmark_barycentric, precision=PRECISION)


def _displace(base: jax.Array, weights: jax.Array, directions: jax.Array) -> jax.Array:
  """base [..., V, 3] + weights [..., N] times directions [N, V, 3]."""
  delta = jnp.tensordot(weights, directions, 1, precision=PRECISION)
  shape = jnp.broadcast_shapes(base.shape, delta.shape)
  return jnp.broadcast_to(base, shape) + jnp.broadcast_to(delta, shape)


def _turn_eyes(head: Head, neutral: jax.Array, moved: jax.Array, gaze: jax.Array) -> jax.Array:
  """Turns the eyeballs of `moved` by `gaze` about the centres that `neutral` has; BFM has none."""
  if not head.eye_vertices.shape[1]:
    return moved
  eyes = neutral[..., head.eye_vertices, :]  # [..., 2, E, 3]
  drift = eyes.mean(-2) - head.mean[head.eye_vertices].mean(-2)[(None,) * (eyes.ndim - 3)]
  centre = drift + jnp.broadcast_to(head.eye_centre, drift.shape)
  angles = gaze.reshape(*gaze.shape[:-1], 2, 2)
  angles = jnp.concatenate([angles, jnp.zeros_like(angles[..., :1])], -1)
  lead = jnp.broadcast_shapes(moved.shape[:-2], angles.shape[:-2])
  centre = jnp.broadcast_to(centre, lead + centre.shape[-2:])
  moved = jnp.broadcast_to(moved, lead + moved.shape[-2:])
  turned = move(moved[..., head.eye_vertices, :] - centre[..., None, :], angles, centre)
  return moved.at[..., head.eye_vertices, :].set(turned)


def _check(array: jax.Array, expected: int, what: str) -> None:
  if array.shape[-1] != expected:
    raise InputError(f'got {array.shape[-1]} {what}, expected {expected}, use the built-in head')
