"""The plain rendering: the picture of the head that conditions the portrait generator.

Fixed camera, black background (method 1.3, 4.1): it shows pose, expression and gaze of a person,
with the shape, skin, light and shoulders that are known of them (person.py).
"""

import dataclasses
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax.core.arrays import to_bytes
from gmtalker_jax.data import schema
from gmtalker_jax.face import bust as busts
from gmtalker_jax.face import camera as cameras
from gmtalker_jax.face import chart, morphable, raster
from gmtalker_jax.face import light as lights
from gmtalker_jax.face.camera import Camera
from gmtalker_jax.face.morphable import Head
from gmtalker_jax.face.person import Person
from gmtalker_jax.types import Coefficients

IRIS, PUPIL = 0.50, 0.20  # radii on the eyeball as a share of its own
IRIS_COLOUR, RIM_COLOUR, PUPIL_COLOUR = (0.36, 0.24, 0.15), (0.13, 0.09, 0.07), (0.02, 0.02, 0.02)


class Rendering(NamedTuple):
  """One picture of the head."""

  rgb: jax.Array  # [H, W, 3] -1..1, black background; with the bust, which the others leave out
  mask: jax.Array  # [H, W] 1 = head
  depth: jax.Array  # [H, W] distance to the camera plane, head widths; inf outside
  normals: jax.Array  # [H, W, 3] unit, in camera axes (x right, y up, z to the camera); 0 outside


def render(
  head: Head,
  person: Person,
  coefficients: Coefficients,
  size: int,
  camera: Camera = cameras.DEFAULT,
) -> Rendering:
  """Renders one frame. Pure; differentiable in the coefficients; `jit`, `vmap` as you like.

  Args:
    head: the model.
    person: whose head it is.
    coefficients: expression [50], motion [12], see schema; sway [8] where it was watched.
    size: pixels, static.
    camera: the pin-hole camera.
  """
  vertices = posed(_own(head, person), jnp.asarray(person.identity), coefficients)
  drawn = draw(head, vertices, person, size, camera)
  if person.bust is None:
    return drawn
  sway = coefficients.sway
  if sway is None:
    sway = busts.follow(person.bust, jnp.asarray(coefficients.motion))
  return drawn._replace(rgb=busts.lay_over(drawn.rgb, person.bust, sway))


def posed(head: Head, identity: jax.Array, coefficients: Coefficients) -> jax.Array:
  """Vertices [..., V, 3] in camera axes: expression and gaze, then the pose of the head."""
  motion = coefficients.motion
  gaze = motion[..., schema.GAZE]
  if not gaze.shape[-1]:  # the layout 'bfm' has none
    gaze = jnp.zeros((*motion.shape[:-1], 4))
  shape = morphable.vertices(head, identity, morphable.blendshapes(coefficients), gaze)
  return morphable.move(shape, motion[..., schema.ROTATION], motion[..., schema.TRANSLATION])


def draw(
  head: Head, vertices: jax.Array, person: Person, size: int, camera: Camera = cameras.DEFAULT
) -> Rendering:
  """Renders a head of vertices [V, 3] in camera axes, with the person's skin and light."""
  fragments = raster.rasterize(cameras.project(camera, vertices, size), head.triangles, size)
  attributes = [head.albedo, normals(vertices, head.triangles), eye_directions(head)]
  if person.texture is not None:
    attributes += [head.uv, head.skin[:, None]]
  pixels = raster.interpolate(fragments, head.triangles, jnp.concatenate(attributes, -1))
  albedo, normal, eye, address = jnp.split(pixels, (3, 6, 9), -1)
  hit = fragments.triangle >= 0
  normal = jnp.where(hit[..., None], unit(normal), 0.0)
  albedo = _paint_eyes(albedo, eye, person)
  if person.texture is not None:
    painted = chart.look_up(jnp.asarray(person.texture), address[..., :2])
    albedo = albedo + address[..., 2:] * (painted - albedo)
  colour = albedo * lights.shade(normal, person.light)
  rgb = jnp.where(hit[..., None], jnp.clip(colour, 0, 1), 0.0) * 2 - 1
  return Rendering(rgb, hit.astype(jnp.float32), fragments.depth, normal)


def render_frames(
  head: Head,
  person: Person,
  coefficients: Coefficients,
  size: int,
  batch: int = 16,
  camera: Camera = cameras.DEFAULT,
) -> np.ndarray:
  """Renders [T, ...] coefficients to uint8 [T, H, W, 3] in chunks of `batch` frames."""
  frames = len(coefficients.motion)
  out = np.empty((frames, size, size, 3), np.uint8)
  own, anonymous = of_person(head, person)
  for start in range(0, frames, batch):
    chunk = jax.tree.map(lambda x, at=start: _pad(x[at : at + batch], batch), coefficients)
    out[start : start + batch] = render_chunk(own, anonymous, chunk, size, camera)[: frames - start]
  return out


def of_person(head: Head, person: Person) -> tuple[Head, Person]:
  """What `render_chunk` takes for many frames of one person: all that is the same in them."""
  return personal(head, person), dataclasses.replace(
    person, identity=jnp.zeros(0), displacement=None
  )


@partial(jax.jit, static_argnames=('size', 'camera'))
def render_chunk(
  head: Head,
  person: Person,
  coefficients: Coefficients,
  size: int,
  camera: Camera = cameras.DEFAULT,
) -> jax.Array:
  """Renders [T, ...] coefficients to uint8 [T, H, W, 3]. Each T is compiled by itself."""

  def one(frame: Coefficients) -> jax.Array:
    return to_bytes(render(head, person, frame, size, camera).rgb)

  return jax.lax.map(one, coefficients)


@jax.jit
def personal(head: Head, person: Person) -> Head:
  """Returns the head of one person, without identity directions: for many frames of it."""
  identity = jnp.asarray(person.identity)
  head = _own(head, person)
  mean = head.mean + jnp.tensordot(identity, head.identity, 1, precision=morphable.PRECISION)
  pivots = head.eye_centre
  if head.eye_vertices.shape[1]:
    pivots = pivots + (mean - head.mean)[head.eye_vertices].mean(1)
  return dataclasses.replace(head, mean=mean, eye_centre=pivots, identity=head.identity[:0])


def _own(head: Head, person: Person) -> Head:
  shift = person.displacement
  return head if shift is None else morphable.displaced(head, shift)


def normals(vertices: jax.Array, triangles: jax.Array) -> jax.Array:
  """Unit vertex normals [V, 3]: the sum of the triangles' normals, weighted by their areas."""
  a, b, c = jnp.moveaxis(vertices[triangles], 1, 0)
  faces = jnp.cross(b - a, c - a)
  total = jnp.zeros_like(vertices)
  for corner in range(3):
    total = total.at[triangles[:, corner]].add(faces)
  return unit(total)


def eye_directions(head: Head) -> jax.Array:
  """[V, 3]: on the eyeballs, the direction from the centre in the eye's own axes; 0 elsewhere."""
  arms = unit(head.mean[head.eye_vertices] - head.eye_centre[:, None])
  return jnp.zeros_like(head.mean).at[head.eye_vertices].set(arms)


def _pad(array: np.ndarray, length: int) -> jax.Array:
  """Repeats the last frame, so that one compiled shape serves every chunk."""
  array = np.asarray(array, np.float32)
  return jnp.asarray(np.concatenate([array, np.repeat(array[-1:], length - len(array), 0)]))


def unit(vectors: jax.Array) -> jax.Array:
  """Vectors [..., 3] at length 1; zero stays zero."""
  x, y, z = (vectors[..., i : i + 1] for i in range(3))  # written out: see raster.interpolate
  return vectors * jax.lax.rsqrt(jnp.maximum(x * x + y * y + z * z, 1e-20))


def _paint_eyes(albedo: jax.Array, eye: jax.Array, person: Person) -> jax.Array:
  """Paints pupil, iris and its dark rim where `eye` [H, W, 3] is the surface of an eyeball."""
  iris, rim = IRIS_COLOUR, RIM_COLOUR
  if person.eyes is not None:
    on_eye = (eye**2).sum(-1, keepdims=True) > 0.25
    white, iris = jnp.asarray(person.eyes).reshape(2, 1, 1, 3)
    albedo, rim = jnp.where(on_eye, white, albedo), iris * (RIM_COLOUR[0] / IRIS_COLOUR[0])
  eye = unit(eye)
  radius = jnp.sqrt(eye[..., :1] ** 2 + eye[..., 1:2] ** 2 + 1e-12)
  front = eye[..., 2:] > 0.5
  rings = ((IRIS, rim, 0.06), (IRIS - 0.1, iris, 0.1), (PUPIL, PUPIL_COLOUR, 0.06))
  if person.iris is not None:
    radius = radius * (IRIS / person.iris)
  for edge, colour, soft in rings:
    share = jnp.where(front, jnp.clip((edge - radius) / soft + 0.5, 0, 1), 0.0)
    albedo = albedo + share * (jnp.asarray(colour).reshape(1, 1, 3) - albedo)
  return albedo
