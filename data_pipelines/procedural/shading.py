"""Deferred shading: what each pixel shows, lit like a portrait in a studio.

Key, fill and rim light, ambient light from above, light that bleeds through skin (wrapped more in
red than in blue), oily highlights, strands, wet eyes. Colours are linear until `develop`.

Arrays are planes [C, P] of the P pixels of a picture, so that a colour is [3, 1].
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from . import figure


class Studio(NamedTuple):
  """Lights as unit directions towards them, in camera axes, and linear colours."""

  directions: jax.Array  # [3, 3] key, fill, rim
  colours: jax.Array  # [3, 3]
  sky: jax.Array  # [3, 1] ambient light from above
  ground: jax.Array  # [3, 1] and from below


class Paint(NamedTuple):
  """The painted things of one person."""

  canvas: jax.Array  # [h, w, 7] albedo 3, gloss, pores, wrinkles 2
  strands: jax.Array  # [a, b, 1] brightness of hair along and across
  hair: jax.Array  # [3, 1]
  iris: jax.Array  # [3, 1]
  cloth: jax.Array  # [3, 1]


class Pixels(NamedTuple):
  """What the pixels show."""

  material: jax.Array  # [1, P] int32, -1 = background
  normal: jax.Array  # [3, P] unit
  coordinates: jax.Array  # [2, P]
  extra: jax.Array  # [3, P]
  occlusion: jax.Array  # [1, P]
  wrinkles: jax.Array  # [2, P]
  shadow: jax.Array  # [1, P] 0..1, 1 = the key light reaches it


def studio(key_side: float) -> Studio:
  """A large warm key from one side, a weak cool fill, a rim from behind."""
  directions = jnp.array([[0.62 * key_side, 0.50, 0.72], [-0.75 * key_side, 0.10, 0.70],
                          [-0.85 * key_side, 0.45, -0.55]])  # fmt: skip
  directions /= jnp.linalg.norm(directions, axis=-1, keepdims=True)
  colours = jnp.array([[1.12, 0.98, 0.84], [0.13, 0.145, 0.175], [0.75, 0.77, 0.82]])
  return Studio(directions, colours, _colour(0.20, 0.205, 0.22), _colour(0.10, 0.075, 0.065))


def shade(pixels: Pixels, paint: Paint, lights: Studio, pixel: float, size: int) -> jax.Array:
  """Returns linear colours [3, P]. `pixel` is the width of a pixel in head widths."""
  kind = pixels.material
  out = jnp.where(kind == figure.HAIR, _hair(pixels, paint, lights),
                  _skin(pixels, paint, lights, pixel, size))  # fmt: skip
  eyes = (kind == figure.LEFT_EYE) | (kind == figure.RIGHT_EYE)
  out = jnp.where(eyes, _eye(pixels, paint, lights), out)
  teeth = (kind == figure.UPPER_TEETH) | (kind == figure.LOWER_TEETH)
  out = jnp.where(teeth, _teeth(pixels, lights), out)
  tongue = _matte(pixels, lights, _colour(0.30, 0.085, 0.085)) * 0.5
  out = jnp.where(kind == figure.TONGUE, tongue, out)
  out = jnp.where(kind == figure.CLOTH, _cloth(pixels, paint, lights), out)
  return jnp.where(kind == figure.LASH, paint.hair * 0.10, out)


def develop(linear: jax.Array) -> jax.Array:
  """Film: a soft shoulder and the sRGB curve, any shape -> 0..1 (Narkowicz's fit of ACES)."""
  x = linear * (2.51 * linear + 0.03) / (linear * (2.43 * linear + 0.59) + 0.14)
  return jnp.clip(x, 0, 1) ** (1 / 2.2)


def sample(texture: jax.Array, coordinates: jax.Array) -> jax.Array:
  """Bilinear lookup of [h, w, C] at [2, P] in 0..1 (right, down): [C, P]."""
  h, w, channels = texture.shape
  x = jnp.clip(coordinates[0] * w - 0.5, 0, w - 1.001)
  y = jnp.clip(coordinates[1] * h - 0.5, 0, h - 1.001)
  x0, y0 = x.astype(jnp.int32), y.astype(jnp.int32)
  fx, fy = (x - x0)[:, None], (y - y0)[:, None]
  flat, first = texture.reshape(-1, channels), y0 * w + x0
  top = flat[first] * (1 - fx) + flat[first + 1] * fx
  low = flat[first + w] * (1 - fx) + flat[first + w + 1] * fx
  return jax.lax.optimization_barrier((top * (1 - fy) + low * fy).T)  # or each use looks it up


def _skin(pixels: Pixels, paint: Paint, lights: Studio, pixel: float, size: int) -> jax.Array:
  painted = sample(paint.canvas, pixels.coordinates)
  albedo, gloss, pores = painted[:3], painted[3:4], painted[4]
  crease = (painted[5:7] * jnp.clip(pixels.wrinkles, 0, 1.2)).sum(0)
  inside = jnp.clip(pixels.extra[:1], 0, 1)
  albedo = albedo * (1 - inside) + inside * _colour(0.10, 0.016, 0.014)
  albedo = albedo * (1 + jnp.clip(crease * 50, -0.50, 0.1)[None] * _colour(0.7, 1.0, 1.0))
  skin = pixels.material[0] == figure.SKIN
  normal = _bump(pixels.normal, pores + crease, skin, pixel, size)
  open_light = pixels.occlusion * (1 - inside)
  light = _ambient(normal, lights) * pixels.occlusion
  bleed = _colour(0.42, 0.22, 0.15)
  shine = jnp.zeros_like(albedo)
  for k in range(3):
    colour = lights.colours[k][:, None]
    wrapped = jnp.clip((_dot(normal, lights.directions[k]) + bleed) / (1 + bleed), 0, 1)
    seen = pixels.shadow if k == 0 else pixels.occlusion
    light += colour * wrapped * (seen * (1 - 0.25 * bleed) + 0.25 * bleed)
    lobe = _highlight(normal, lights.directions[k], 22) * 0.6
    shine += colour * (lobe + _highlight(normal, lights.directions[k], 64)) * seen
  edge = (1 - jnp.clip(normal[2:], 0, 1)) ** 3
  diffuse = albedo * light * (0.25 + 0.75 * pixels.occlusion)
  return diffuse + (gloss * shine * 0.15 + 0.05 * edge * lights.sky) * open_light


def _bump(normal: jax.Array, height: jax.Array, where: jax.Array, pixel: float, size: int):
  """Tilts normals by the slope of `height`, taken across neighbouring pixels (Mikkelsen 2010)."""
  rows = jnp.pad(height.reshape(size, size), 1, mode='edge')
  ok = jnp.pad(where.reshape(size, size), 1)
  inner = ok[1:-1, :-2] & ok[1:-1, 2:] & ok[:-2, 1:-1] & ok[2:, 1:-1]
  slope_x = (rows[1:-1, 2:] - rows[1:-1, :-2]) / (2 * pixel)
  slope_y = (rows[:-2, 1:-1] - rows[2:, 1:-1]) / (2 * pixel)
  slope = jnp.stack([slope_x, slope_y, jnp.zeros_like(slope_x)]) * inner[None]
  tilted = _unit(normal - jnp.clip(slope, -0.7, 0.7).reshape(3, -1))
  return jax.lax.optimization_barrier(tilted)


def _eye(pixels: Pixels, paint: Paint, lights: Studio) -> jax.Array:
  gaze, normal = _unit(pixels.extra), pixels.normal
  radius = jnp.sqrt(gaze[:1] ** 2 + gaze[1:2] ** 2 + 1e-9)
  around = jnp.arctan2(gaze[1:2], gaze[:1])
  fibres = 0.5 + 0.5 * jnp.sin(around * 31 + 3 * jnp.sin(around * 7)) * jnp.sin(around * 17 + 1.3)
  white = _colour(0.70, 0.65, 0.62) - radius * _colour(0.0, 0.10, 0.10)
  iris = paint.iris * (0.55 + 0.9 * fibres) * (0.6 + 1.4 * _step(0.22, 0.42, radius))
  iris = iris * (1 + 0.9 * jnp.clip(-normal[1:2] * 2, -0.4, 1))  # light pools below
  iris = iris * (1 - 0.85 * _step(0.42, 0.50, radius))  # the dark limbal ring
  colour = jnp.where(gaze[2:] > 0, iris + (white - iris) * _step(0.475, 0.53, radius), white)
  colour = colour * (1 - 0.97 * (1 - _step(0.17, 0.215, radius)))
  lids = 1 - 0.55 * _step(0.10, 0.50, normal[1:2])
  corners = 1 - 0.35 * _step(0.35, 0.75, jnp.abs(normal[:1]))
  lit = _matte(pixels._replace(shadow=0.35 + 0.65 * pixels.shadow), lights, colour)
  mirrored = 2 * normal[2:] * normal - _colour(0.0, 0.0, 1.0)
  window = _unit(lights.directions[0][:, None] * _colour(0.55, 0.62, 1.2))
  catch = _step(0.945, 0.965, _dot(mirrored, window[:, 0])) * 1.5
  other = _step(0.975, 0.99, _dot(mirrored, lights.directions[1])) * 0.15
  return lit * lids * corners + (catch + other) * (radius < 0.62)


def _hair(pixels: Pixels, paint: Paint, lights: Studio) -> jax.Array:
  lock, along = pixels.coordinates[:1], pixels.coordinates[1:]
  number = jnp.floor(lock)
  across = jnp.mod(number * 0.618034, 1.0) * 0.9 + (lock - number) * 0.1
  strand = sample(paint.strands, jnp.concatenate([across, along]))
  colour = paint.hair * (1 + 0.22 * jnp.sin(number * 12.9898)) * (0.40 + 0.95 * strand)
  tangent, normal, occlusion = _unit(pixels.extra), pixels.normal, pixels.occlusion
  light = _ambient(normal, lights) * occlusion
  shine = jnp.zeros_like(colour)
  for k in range(3):  # Kajiya & Kay 1989, a white and a tinted highlight (Marschner et al. 2003)
    lamp = lights.colours[k][:, None]
    reach = jnp.clip(_dot(normal, lights.directions[k]) * 0.75 + 0.25, 0, 1) * occlusion
    reach = reach * (0.3 + 0.7 * pixels.shadow) if k == 0 else reach
    light += lamp * reach
    half = _half(lights.directions[k])
    white = _glint(tangent + normal * (0.06 + 0.16 * (strand - 0.5)), half, 60) * 0.055
    tinted = _glint(tangent + normal * (-0.10 + 0.16 * (strand - 0.5)), half, 14) * 0.75
    shine += lamp * (white + tinted * paint.hair) * reach * strand
  return colour * light + shine


def _glint(tangent: jax.Array, half: jax.Array, power: int) -> jax.Array:
  sine_squared = jnp.clip(1 - _dot(_unit(tangent), half) ** 2, 0, 1)
  return sine_squared ** (power // 2)


def _cloth(pixels: Pixels, paint: Paint, lights: Studio) -> jax.Array:
  around, below = pixels.coordinates[:1], pixels.coordinates[1:]
  rib = jnp.where(below < 0.16, 0.12 * jnp.sin(around * 70), 0.05 * jnp.sin(around * 120))
  fold = 0.06 * jnp.sin(around * 9 + 7 * below) + 0.04 * jnp.sin(around * 17 - 11 * below)
  edge = (1 - jnp.clip(pixels.normal[2:], 0, 1)) ** 2
  soft = pixels._replace(shadow=0.25 + 0.75 * pixels.shadow)
  return _matte(soft, lights, paint.cloth * (1 + rib + fold)) + 0.05 * edge * lights.sky  # fuzz


def _teeth(pixels: Pixels, lights: Studio) -> jax.Array:
  """Front teeth catch what light comes through the lips; along the jaw it gets darker."""
  away = jnp.abs(pixels.coordinates[:1] - 0.5)
  gaps = 1 - 0.16 * jnp.abs(jnp.cos(away * (jnp.pi / 0.0155))) ** 10
  depth = 1 - 0.75 * _step(0.050, 0.120, away)
  between_lips = pixels._replace(
    normal=_unit(pixels.normal * 0.5 + _colour(0.0, 0.0, 0.6)),  # enamel lets light through
    shadow=0.70 + 0.30 * pixels.shadow,
    occlusion=0.8 + 0.2 * pixels.occlusion,
  )
  return _matte(between_lips, lights, _colour(0.82, 0.78, 0.71)) * gaps * depth


def _matte(pixels: Pixels, lights: Studio, colour: jax.Array) -> jax.Array:
  light = _ambient(pixels.normal, lights) * pixels.occlusion
  for k in range(3):
    cosine = jnp.clip(_dot(pixels.normal, lights.directions[k]) * 0.9 + 0.1, 0, 1)
    seen = pixels.shadow if k == 0 else pixels.occlusion
    light += lights.colours[k][:, None] * cosine * seen
  return colour * light


def _ambient(normal: jax.Array, lights: Studio) -> jax.Array:
  up = normal[1:2] * 0.5 + 0.5
  return lights.sky * up + lights.ground * (1 - up)


def _highlight(normal: jax.Array, direction: jax.Array, power: int) -> jax.Array:
  cosine = jnp.clip(_dot(normal, _half(direction)), 0, 1)
  fresnel = 0.35 + 0.65 * (1 - jnp.clip(normal[2:], 0, 1)) ** 2
  return cosine**power * fresnel * ((power + 8) / 40)


def _half(direction: jax.Array) -> jax.Array:
  """Half way between a light and the camera."""
  return _unit((direction + jnp.array([0.0, 0.0, 1.0]))[:, None])[:, 0]


def _dot(vectors: jax.Array, direction: jax.Array) -> jax.Array:
  """[3, P] and [3] to [1, P]."""
  x, y, z = direction
  return vectors[:1] * x + vectors[1:2] * y + vectors[2:] * z


def _step(low: float, high: float, x: jax.Array) -> jax.Array:
  t = jnp.clip((x - low) / (high - low), 0, 1)
  return t * t * (3 - 2 * t)


def _unit(v: jax.Array) -> jax.Array:
  return v * jax.lax.rsqrt(jnp.maximum((v**2).sum(0, keepdims=True), 1e-12))


def _colour(red: float, green: float, blue: float) -> jax.Array:
  return jnp.array([[red], [green], [blue]])
