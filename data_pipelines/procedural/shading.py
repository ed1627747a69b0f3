"""Deferred shading: what each pixel shows, lit like a portrait in a studio.

Key, fill and rim light, ambient light from above, light that bleeds through skin (wrapped more in
red than in blue), oily highlights, strands, wet eyes. Colours are linear until `develop`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from data_pipelines.procedural.figure import (
  CLOTH, HAIR, LASH, LEFT_EYE, LOWER_TEETH, RIGHT_EYE, SKIN, TONGUE, UPPER_TEETH,
)  # fmt: skip


class Studio(NamedTuple):
  """Lights as unit directions towards them, in camera axes, and linear colours."""

  directions: jax.Array  # [3, 3] key, fill, rim
  colours: jax.Array  # [3, 3]
  sky: jax.Array  # [3] ambient light from above
  ground: jax.Array  # [3] and from below


class Paint(NamedTuple):
  """The painted things of one person."""

  canvas: jax.Array  # [h, w, 7] albedo 3, gloss, pores, wrinkles 2
  strands: jax.Array  # [a, b] brightness of hair across and along
  hair: jax.Array  # [3]
  iris: jax.Array  # [3]
  cloth: jax.Array  # [3]


class Pixels(NamedTuple):
  """What the pixels show; all [H, W, ...]."""

  material: jax.Array  # int32, -1 = background
  normal: jax.Array  # [..., 3]
  coordinates: jax.Array  # [..., 2]
  extra: jax.Array  # [..., 3]
  occlusion: jax.Array
  wrinkles: jax.Array  # [..., 2]
  shadow: jax.Array  # 0..1, 1 = the key light reaches it


def studio(key_side: float) -> Studio:
  """A large warm key from one side, a weak cool fill, a rim from behind."""
  directions = jnp.array([[0.62 * key_side, 0.50, 0.72], [-0.75 * key_side, 0.10, 0.70],
                          [-0.85 * key_side, 0.45, -0.55]])  # fmt: skip
  directions /= jnp.linalg.norm(directions, axis=-1, keepdims=True)
  colours = jnp.array([[1.25, 1.10, 0.96], [0.20, 0.22, 0.26], [0.70, 0.72, 0.78]])
  return Studio(directions, colours, jnp.array([0.26, 0.265, 0.28]), jnp.array([0.12, 0.095, 0.085]))


def shade(pixels: Pixels, paint: Paint, lights: Studio, pixel: float) -> jax.Array:
  """Returns linear colours [H, W, 3]. `pixel` is the width of a pixel in head widths."""
  kind = pixels.material[..., None]
  skin = _skin(pixels, paint, lights, pixel)
  eye = _eye(pixels, paint, lights)
  out = jnp.where(kind == HAIR, _hair(pixels, paint, lights), skin)
  out = jnp.where((kind == LEFT_EYE) | (kind == RIGHT_EYE), eye, out)
  out = jnp.where((kind == UPPER_TEETH) | (kind == LOWER_TEETH), _teeth(pixels, lights), out)
  out = jnp.where(kind == TONGUE, _matte(pixels, lights, jnp.array([0.34, 0.10, 0.10])) * 0.45, out)
  out = jnp.where(kind == CLOTH, _cloth(pixels, paint, lights), out)
  return jnp.where(kind == LASH, paint.hair * 0.10, out)


def develop(linear: jax.Array) -> jax.Array:
  """Film: a soft shoulder, a slightly warm print, the sRGB curve. [..., 3] -> 0..1."""
  x = linear * jnp.array([1.02, 1.0, 0.965])
  x = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)
  return jnp.clip(x, 0, 1) ** (1 / 2.2)


def sample(texture: jax.Array, coordinates: jax.Array) -> jax.Array:
  """Bilinear lookup of [h, w, C] at [..., 2] in 0..1 (right, down)."""
  h, w = texture.shape[:2]
  x = jnp.clip(coordinates[..., 0] * w - 0.5, 0, w - 1.001)
  y = jnp.clip(coordinates[..., 1] * h - 0.5, 0, h - 1.001)
  x0, y0 = x.astype(jnp.int32), y.astype(jnp.int32)
  fx, fy = (x - x0)[..., None], (y - y0)[..., None]
  at = lambda i, j: texture[i, j].astype(jnp.float32)
  top = at(y0, x0) * (1 - fx) + at(y0, x0 + 1) * fx
  low = at(y0 + 1, x0) * (1 - fx) + at(y0 + 1, x0 + 1) * fx
  return top * (1 - fy) + low * fy


def _skin(pixels: Pixels, paint: Paint, lights: Studio, pixel: float) -> jax.Array:
  painted = sample(paint.canvas, pixels.coordinates)
  painted = jax.lax.optimization_barrier(painted)  # else every use looks it up again
  albedo, gloss, pores = painted[..., :3], painted[..., 3:4], painted[..., 4]
  depth = (painted[..., 5:7] * jnp.clip(pixels.wrinkles, 0, 1.2)).sum(-1)
  inside = jnp.clip(pixels.extra[..., :1], 0, 1)
  albedo = albedo * (1 - inside) + inside * jnp.array([0.10, 0.016, 0.014])
  albedo = albedo * (1 + jnp.clip(depth * 45, -0.45, 0.1)[..., None] * jnp.array([0.7, 1.0, 1.0]))
  normal = _bump(pixels.normal, pores + depth, pixels.material == SKIN, pixel)
  normal = jax.lax.optimization_barrier(normal)
  light = _ambient(normal, lights) * pixels.occlusion[..., None]
  bleed = jnp.array([0.42, 0.22, 0.15])
  shine = 0.0
  for k in range(3):
    cosine = (normal @ lights.directions[k])[..., None]
    wrapped = jnp.clip((cosine + bleed) / (1 + bleed), 0, 1) ** 1.25
    seen = pixels.shadow[..., None] if k == 0 else pixels.occlusion[..., None]
    light += lights.colours[k] * wrapped * (seen * (1 - 0.25 * bleed) + 0.25 * bleed)
    lobe = _highlight(normal, lights.directions[k], 22) * 0.6
    lobe += _highlight(normal, lights.directions[k], 64)
    shine += lights.colours[k] * lobe * seen
  edge = (1 - jnp.clip(normal[..., 2:], 0, 1)) ** 3
  open_light = pixels.occlusion[..., None] * (1 - inside)
  return (
    albedo * light * (0.25 + 0.75 * pixels.occlusion[..., None])
    + (gloss * shine * 0.16 + 0.05 * edge * lights.sky) * open_light
  )


def _bump(normal: jax.Array, height: jax.Array, where: jax.Array, pixel: float) -> jax.Array:
  """Tilts normals by the slope of `height`, taken across neighbouring pixels."""
  pad = jnp.pad(height, 1, mode='edge')
  ok = jnp.pad(where, 1)
  inner = ok[1:-1, :-2] & ok[1:-1, 2:] & ok[:-2, 1:-1] & ok[2:, 1:-1]
  slope_x = (pad[1:-1, 2:] - pad[1:-1, :-2]) / (2 * pixel)
  slope_y = (pad[:-2, 1:-1] - pad[2:, 1:-1]) / (2 * pixel)
  slope = jnp.stack([slope_x, slope_y, jnp.zeros_like(slope_x)], -1)
  return _unit(normal - jnp.clip(slope, -0.7, 0.7) * inner[..., None])


def _eye(pixels: Pixels, paint: Paint, lights: Studio) -> jax.Array:
  gaze = _unit(pixels.extra)
  radius = jnp.sqrt(gaze[..., 0] ** 2 + gaze[..., 1] ** 2 + 1e-9)[..., None]
  around = jnp.arctan2(gaze[..., 1], gaze[..., 0])[..., None]
  fibres = 0.5 + 0.5 * jnp.sin(around * 31 + 3 * jnp.sin(around * 7)) * jnp.sin(around * 17 + 1.3)
  white = jnp.array([0.66, 0.60, 0.56]) - radius * jnp.array([0.0, 0.10, 0.10])
  iris = paint.iris * (0.55 + 0.9 * fibres) * (0.6 + 1.6 * _step(0.22, 0.42, radius))
  iris = iris * (1 + 0.9 * jnp.clip(-pixels.normal[..., 1:2] * 2, -0.4, 1))  # light pools below
  iris = iris * (1 - 0.8 * _step(0.42, 0.50, radius))  # the dark limbal ring
  colour = jnp.where(gaze[..., 2:] > 0, iris + (white - iris) * _step(0.475, 0.53, radius), white)
  colour = colour * (1 - 0.97 * (1 - _step(0.17, 0.215, radius)))
  lids = 1 - 0.62 * _step(0.02, 0.50, pixels.normal[..., 1:2])
  corners = 1 - 0.35 * _step(0.35, 0.75, jnp.abs(pixels.normal[..., :1]))
  lit = _matte(pixels, lights, colour) * lids * corners
  normal = pixels.normal
  mirrored = _unit(2 * normal[..., 2:] * normal - jnp.array([0.0, 0.0, 1.0]))
  window = _unit(lights.directions[0] * jnp.array([0.55, 0.62, 1.2]))
  catch = _step(0.93, 0.96, (mirrored @ window)[..., None]) * 1.6
  other = _step(0.975, 0.99, (mirrored @ _unit(lights.directions[1]))[..., None]) * 0.18
  return lit + (catch + other) * (radius < 0.62)


def _hair(pixels: Pixels, paint: Paint, lights: Studio) -> jax.Array:
  lock, along = pixels.coordinates[..., 0], pixels.coordinates[..., 1]
  number = jnp.floor(lock)
  across = jnp.mod(number * 0.618034, 1.0) * 0.9 + (lock - number) * 0.1
  strand = sample(paint.strands[..., None], jnp.stack([across, along], -1))
  tone = 1 + 0.22 * jnp.sin(number * 12.9898)[..., None]
  colour = paint.hair * tone * (0.40 + 0.95 * strand)
  tangent, normal = _unit(pixels.extra), _unit(pixels.normal)
  occlusion = pixels.occlusion[..., None]
  light = _ambient(normal, lights) * occlusion
  shine = 0.0
  for k in range(3):
    cosine = jnp.clip((normal @ lights.directions[k])[..., None] * 0.75 + 0.25, 0, 1)
    seen = pixels.shadow[..., None] if k == 0 else 1.0
    light += lights.colours[k] * cosine * occlusion * seen
    half = _unit(lights.directions[k] + jnp.array([0.0, 0.0, 1.0]))
    for shift, power, gain in ((0.06, 60, 0.055), (-0.10, 14, 0.0)):
      tilted = _unit(tangent + normal * (shift + 0.16 * (strand - 0.5)))
      sine = jnp.sqrt(jnp.clip(1 - (tilted @ half) ** 2, 0, 1))[..., None]
      tint = jnp.ones(3) if gain else paint.hair * 1.4
      gain = gain or 0.55
      shine += lights.colours[k] * sine**power * gain * tint * cosine * occlusion * seen * strand
  return colour * light + shine


def _cloth(pixels: Pixels, paint: Paint, lights: Studio) -> jax.Array:
  around, below = pixels.coordinates[..., 0], pixels.coordinates[..., 1]
  rib = jnp.where(below < 0.16, 0.12 * jnp.sin(around * 70), 0.05 * jnp.sin(around * 120))
  fold = 0.06 * jnp.sin(around * 9 + 7 * below) + 0.04 * jnp.sin(around * 17 - 11 * below)
  colour = paint.cloth * (1 + rib + fold)[..., None]
  edge = (1 - jnp.clip(pixels.normal[..., 2:], 0, 1)) ** 2
  return _matte(pixels, lights, colour) + 0.05 * edge * lights.sky  # fuzz catches the light


def _teeth(pixels: Pixels, lights: Studio) -> jax.Array:
  away = jnp.abs(pixels.coordinates[..., :1] - 0.5)
  gaps = 1 - 0.22 * jnp.abs(jnp.cos(away * 3.14159 / 0.0155)) ** 10
  depth = 1 - 0.85 * _step(0.015, 0.075, away)
  return _matte(pixels, lights, jnp.array([0.62, 0.56, 0.47]) * gaps) * depth * 0.62


def _matte(pixels: Pixels, lights: Studio, colour: jax.Array) -> jax.Array:
  normal, occlusion = pixels.normal, pixels.occlusion[..., None]
  light = _ambient(normal, lights) * occlusion
  for k in range(3):
    cosine = jnp.clip((normal @ lights.directions[k])[..., None] * 0.9 + 0.1, 0, 1)
    light += lights.colours[k] * cosine * (pixels.shadow[..., None] if k == 0 else occlusion)
  return colour * light


def _ambient(normal: jax.Array, lights: Studio) -> jax.Array:
  up = normal[..., 1:2] * 0.5 + 0.5
  return lights.sky * up + lights.ground * (1 - up)


def _highlight(normal: jax.Array, direction: jax.Array, power: int) -> jax.Array:
  half = _unit(direction + jnp.array([0.0, 0.0, 1.0]))
  cosine = jnp.clip(normal @ half, 0, 1)[..., None]
  fresnel = 0.35 + 0.65 * (1 - jnp.clip(normal[..., 2:], 0, 1)) ** 2
  return cosine**power * fresnel * (power + 8) / 40


def _step(low: float, high: float, x: jax.Array) -> jax.Array:
  t = jnp.clip((x - low) / (high - low), 0, 1)
  return t * t * (3 - 2 * t)


def _unit(v: jax.Array) -> jax.Array:
  return v * jax.lax.rsqrt(jnp.maximum((v**2).sum(-1, keepdims=True), 1e-12))
