"""A virtual camera: photographs of people who do not exist, with the truth known.

The camera is the one of the plain rendering, so the head lies at the same pixels in both; all the
rest differs as a photo does. From the coefficients come shape, wrinkles and shadows; from the
person's seed come skin, hair, eyes, clothes, light and background; from the frame's number the
grain.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax.core.errors import InputError, check_choice
from gmtalker_jax.data import schema
from gmtalker_jax.face import camera as cameras
from gmtalker_jax.face import morphable, raster
from gmtalker_jax.face.morphable import Head
from gmtalker_jax.types import Coefficients

from . import appearance, canvas, figure, hair, shading, shadow

BATCH = 8
GRAIN = 0.010
WARMTH = np.array((1.02, 1.0, 0.965), np.float32)  # of the print
# How emotion shows in the blood: red, and pale, at level 3.
FLUSH = {'angry': 0.35, 'happy': 0.15, 'sad': 0.12, 'fear': -0.25, 'surprised': 0.05}


class Photographer:
  """Takes photographs of one person."""

  def __init__(self, person, head: Head, size: int):
    """Paints and builds the person, once.

    Args:
      person: people.Person (name, seed and identity are used).
      head: the head model.
      size: side of the square photographs, px.
    """
    if size < 16:
      raise InputError(f'got photographs of {size} px, expected at least 16, choose a larger size')
    look = appearance.draw(person.seed, person.name[0], star=person.name.endswith('001'))
    self.look, self.size = look, size
    self.figure = figure.build(look, head, person.identity)
    marks = np.asarray(morphable.landmarks(head, head.mean))
    painted = canvas.paint(look, marks, hair.scalp_mask(look.seed))
    self._paint = shading.Paint(
      canvas=jnp.asarray(np.concatenate([
        painted.albedo, painted.gloss[..., None], painted.pores[..., None], painted.wrinkles,
      ], -1)),
      strands=jnp.asarray(_strands(look.seed)[..., None]),
      hair=_column(look.hair),
      iris=_column(look.iris),
      cloth=_column(look.clothes),
    )  # fmt: skip
    self._lights = shading.studio(look.key_side)
    self._background = jnp.asarray(_background(look, size))
    self._grain = jnp.asarray(_grain_plate(look.seed, size))

  def shoot(
    self, coefficients: Coefficients, emotion: str = 'neutral', level: int = 1, first: int = 0
  ) -> np.ndarray:
    """Photographs [T] frames: uint8 [T, size, size, 3].

    Args:
      coefficients: expression [T, 50], motion [T, 12].
      emotion: one of schema.EMOTIONS; it colours the skin a little.
      level: 1..3.
      first: number of the first frame, which decides the grain.
    """
    check_choice('emotion', emotion, schema.EMOTIONS)
    flush = FLUSH.get(emotion, 0.0) * level / schema.LEVELS
    frames = len(coefficients.motion)
    out = np.empty((frames, self.size, self.size, 3), np.uint8)
    for start in range(0, frames, BATCH):
      chunk = jax.tree.map(lambda x, at=start: _padded(x[at : at + BATCH]), coefficients)
      numbers = jnp.arange(first + start, first + start + BATCH)
      shot = _expose(
        self.figure, self._paint, self._lights, self._background, self._grain, chunk, numbers,
        jnp.float32(flush), self.size,
      )  # fmt: skip
      out[start : start + BATCH] = shot[: frames - start]
    return out


@partial(jax.jit, static_argnames='size')
def _expose(body, paint, lights, background, grain, coefficients, numbers, flush, size: int):
  """Photographs a chunk of frames."""
  inner = _inner_size(size)
  wall = jax.image.resize(background, (inner, inner, 3), 'linear').reshape(-1, 3).T

  def one(args):
    frame, number = args
    linear = _picture(body, paint, lights, wall, frame, flush, inner).reshape(3, inner, inner)
    linear = jax.image.resize(linear, (3, size, size), 'linear')  # antialiased: area average
    plate = jnp.roll(grain, (number * 37 % size, number * 101 % size), (0, 1))
    shot = shading.develop(linear * WARMTH[:, None, None]) + plate[None] * GRAIN
    return jnp.round(jnp.clip(shot, 0, 1) * 255).astype(jnp.uint8).transpose(1, 2, 0)

  return jax.lax.map(one, (coefficients, numbers))


def _picture(body, paint, lights, wall, frame: Coefficients, flush, size: int) -> jax.Array:
  """One frame in linear colours [3, size * size]."""
  posed = figure.pose(body, frame)
  projected = cameras.project(cameras.DEFAULT, posed.points, size)
  fragments = raster.rasterize(projected, body.triangles, size)
  attributes = jnp.concatenate(
    [posed.normals, body.coordinates, posed.tangents, body.occlusion[:, None], posed.wrinkles], -1
  )
  at = raster.interpolate(fragments, body.triangles, attributes).reshape(size * size, -1).T
  at = jax.lax.optimization_barrier(at)
  triangle = fragments.triangle.reshape(1, -1)
  normal = at[:3] * jax.lax.rsqrt(jnp.maximum((at[:3] ** 2).sum(0, keepdims=True), 1e-12))
  pixels = shading.Pixels(
    material=jnp.where(triangle >= 0, body.material[jnp.maximum(triangle, 0)], -1),
    normal=normal,
    coordinates=at[3:5],
    extra=at[5:8],
    occlusion=at[8:9],
    wrinkles=at[9:11],
    shadow=_lit(posed.points, body.triangles, fragments.depth, lights, size),
  )
  width = cameras.DEFAULT.distance / cameras.DEFAULT.focal / size
  colour = shading.shade(pixels, paint, lights, width, size)
  blood = 1 + flush * jnp.array([[0.05], [-0.10], [-0.08]])
  colour = jnp.where(pixels.material == figure.SKIN, colour * blood, colour)
  return jnp.where(triangle >= 0, colour, wall)


def _lit(points, triangles, depth: jax.Array, lights: shading.Studio, size: int) -> jax.Array:
  """[1, P]: the share of the key light that reaches what the pixels show."""
  centre = jnp.arange(size) + 0.5
  x, y = jnp.meshgrid(centre, centre)
  near = jnp.where(jnp.isfinite(depth), depth, cameras.DEFAULT.distance)
  seen = jnp.stack([x, y, near], -1).reshape(-1, 3)
  shown = cameras.unproject(cameras.DEFAULT, seen, size)
  return shadow.lit(shadow.cast(points, triangles, lights.directions[0]), shown)[None]


def _column(colour: appearance.Colour) -> jax.Array:
  return jnp.asarray(colour, jnp.float32)[:, None]


def _inner_size(size: int) -> int:
  """Small pictures are sampled 2x, larger ones 1.5x, and averaged down."""
  return 2 * size if size < 128 else size * 3 // 2


def _padded(array) -> jax.Array:
  array = np.asarray(array, np.float32)
  return jnp.asarray(np.concatenate([array, np.repeat(array[-1:], BATCH - len(array), 0)]))


def _strands(seed: int) -> np.ndarray:
  """[64, 1024]: brightness of hair, streaks along the first axis."""
  rng = np.random.default_rng([seed, 3])
  fine, coarse = rng.standard_normal((2, 1, 1024)), rng.standard_normal((1, 1, 128))
  streaks = 0.6 * fine[0] + 0.4 * np.repeat(coarse[0], 8, -1)
  wave = 0.25 * rng.standard_normal((64, 1024))
  wave = (wave + np.roll(wave, 1, 0) + np.roll(wave, 2, 0)) / 2
  return np.clip(0.5 + 0.22 * (streaks + wave), 0.05, 1).astype(np.float32)


def _background(look: appearance.Appearance, size: int) -> np.ndarray:
  """[size, size, 3] linear: a wall out of focus, lighter behind one shoulder."""
  rng = np.random.default_rng([look.seed, 11])
  y, x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
  glow = np.exp(-((x - 0.5 + 0.28 * look.key_side) ** 2 + (y - 0.45) ** 2) / 0.22)
  wall = 0.30 + 0.75 * glow
  for _ in range(7):
    cx, cy, r = rng.uniform(0, 1), rng.uniform(0, 0.8), rng.uniform(0.05, 0.13)
    distance = np.sqrt((x - cx) ** 2 + (y - cy) ** 2)
    wall = wall + rng.uniform(0.02, 0.08) / (1 + np.exp((distance - r) / 0.022))
  vignette = 1 - 0.35 * ((x - 0.5) ** 2 + (y - 0.5) ** 2) * 2
  return (np.asarray(look.background) * (wall * vignette)[..., None]).astype(np.float32)


def _grain_plate(seed: int, size: int) -> np.ndarray:
  plate = np.random.default_rng([seed, 13]).standard_normal((size, size))
  soft = plate + 0.5 * (np.roll(plate, 1, 0) + np.roll(plate, 1, 1))
  return (soft / soft.std()).astype(np.float32)
