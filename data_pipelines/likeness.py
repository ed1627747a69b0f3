"""What the rendering may know of a person beside the shape: skin and light, from tracked frames.

Photographs are colour = albedo x shade(normal): the albedo is a texture on the chart of face/chart,
the shade nine harmonics of grey light. Both are found in turn. A texel is the robust mean of what
the frames show of it, so hair that swings, a highlight or a hand that passes leaves no trace; one
that no frame shows well is continued from its mirror image, then from its neighbours.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax.face import camera, chart, light, morphable, raster, render
from gmtalker_jax.face.morphable import Head
from gmtalker_jax.face.person import Person
from gmtalker_jax.types import Coefficients

from . import backdrop, eye_colours, texture_fill
from . import displacement as displacements

SHOTS = 48  # frames that say enough of a person
SIZE = 256  # of the texture

_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_FACING = 0.2  # cosine of the angle at which skin is seen too flatly
_RIM = (0.008, 0.035)  # of the picture: so near the outline nothing, from there on all is believed
_BACKDROP = (0.1, 0.4)  # credibility of a colour: none, full
_NECK = 0.72  # row of the chart, from where on there may be clothes of any colour
_DEPTH_SLACK = 0.03  # head widths
_ENOUGH = 0.08  # share of the frames that must show a texel well
_UNSTEADY = 0.10  # spread of a texel over the frames that makes it half as credible
_DARKEST = 0.3  # of the mean shade: what is darker is shadow, and dividing by it is noise
_ROUNDS = 3
_LIGHT_PRIOR = 0.05  # how much the default light weighs against what is seen


class Shot(NamedTuple):
  """A tracked photograph: the camera's square (track.Crop), and what the head does there."""

  picture: np.ndarray  # uint8 [S, S, 3]
  coefficients: Coefficients  # expression [50], motion [12]
  identity: np.ndarray | None = None  # [I] that they were fitted with; None = the person's


class _Texels(NamedTuple):
  """The texels that the skin covers, and where on the mesh each of them lies."""

  index: np.ndarray  # [P] in the flat texture
  corners: np.ndarray  # [P, 3] vertices
  weights: np.ndarray  # [P, 3] barycentric


class _Seen(NamedTuple):
  """What N frames show of P texels."""

  colour: np.ndarray  # [N, P, 3] 0..1
  weight: np.ndarray  # [N, P] how well it is seen, 0..1
  basis: np.ndarray  # [N, P, 9] harmonics of the normal


def fit(
  head: Head,
  identity: np.ndarray,
  shots: Sequence[Shot],
  displacement: np.ndarray | None = None,
) -> Person:
  """Fits skin and light of a person.

  Args:
    head: the model.
    identity: [I] of the person.
    shots: one or more, of one size, spread over what there is; 32 to 64 are enough.
    displacement: [V, 3] of the person, see displacement.py; None = none is known.

  Returns:
    the person: texture [SIZE, SIZE, 3] in steps of 1/255, grey light [9], colours of the eyes. The
    scale between albedo and light is free; it is set so that most of the skin is as bright as the
    head's own.
  """
  iris = displacements.iris(head, identity)
  if displacement is not None:
    head = morphable.displaced(head, displacement)
  texels = _texels(head)
  seen = _look(head, np.asarray(identity, np.float32), shots, texels)
  brightness = _skin_brightness(head)
  lamp = _light_on_even_skin(seen, brightness)
  albedo, spread = _albedo(seen, lamp)
  for _ in range(_ROUNDS):
    lamp = _light(seen, albedo @ _GREY, lamp)
    albedo, spread = _albedo(seen, lamp)
  scale = brightness / max(_typical(seen, albedo), 1e-3)
  lamp, albedo = lamp / scale, albedo * scale
  texture, trust = np.zeros((SIZE * SIZE, 3), np.float32), np.zeros(SIZE * SIZE, np.float32)
  # Where the shade is too dark for what is seen, all channels give way together: a hue is kept.
  texture[texels.index] = albedo / np.maximum(albedo.max(1, keepdims=True), 1)
  trust[texels.index] = _trust(seen, spread)
  filled = texture_fill.fill(texture.reshape(SIZE, SIZE, 3), trust.reshape(SIZE, SIZE))
  return Person(
    np.asarray(identity, np.float32),
    (np.round(filled * 255) / 255).astype(np.float32),
    lamp.astype(np.float32),
    _eyes(head, identity, shots, lamp, iris),
    displacement=displacement,
    iris=iris,
  )


def _texels(head: Head) -> _Texels:
  """Rasterises the chart; where it folds, what lies outermost is what a camera sees."""
  triangles = np.asarray(head.triangles)
  covered = np.asarray(head.skin)[triangles].min(1) > 0.5
  triangles = triangles[covered]
  radius = np.hypot(head.mean[:, 0], head.mean[:, 2] + 0.15)
  # So far away that perspective does not matter.
  flat = np.concatenate([np.asarray(head.uv) * SIZE, 100 - radius[:, None]], 1)
  found = raster.rasterize(jnp.asarray(flat, jnp.float32), jnp.asarray(triangles), SIZE)
  triangle = np.asarray(found.triangle).ravel()
  index = np.flatnonzero(triangle >= 0)
  weights = np.asarray(found.barycentric).reshape(-1, 3)[index]
  return _Texels(index, triangles[triangle[index]], weights)


def _look(head: Head, identity: np.ndarray, shots: Sequence[Shot], texels: _Texels) -> _Seen:
  looks, masks = [], []
  for shot in shots:
    size, own = len(shot.picture), _own(shot, identity)
    place, normal, facing, mask = map(
      np.asarray, _project(head, own, shot.coefficients, texels.corners, texels.weights, size)
    )
    masks.append(mask)
    rim = cv2.distanceTransform((mask > 0).astype(np.uint8), cv2.DIST_L2, 5) / size
    away = np.asarray(_sample(rim[..., None], place))[:, 0]
    inside = np.clip((away - _RIM[0]) / (_RIM[1] - _RIM[0]), 0, 1)
    colour = np.asarray(_sample(shot.picture.astype(np.float32) / 255, place))
    looks.append(_Seen(colour, inside * np.clip(facing - _FACING, 0, 1), normal))
  colour, weight, normal = map(np.stack, zip(*looks, strict=True))
  weight *= _credible(shots, masks, colour, texels.index // SIZE < _NECK * SIZE)
  return _Seen(colour, weight, np.asarray(light.basis(jnp.asarray(normal))))


def _credible(
  shots: Sequence[Shot], masks: Sequence[np.ndarray], colour: np.ndarray, head: np.ndarray
) -> np.ndarray:
  """0 where a colour [N, P, 3] is that of the background, 1 where it is not [N, P].

  What has the colour of a tie is none of the texels of the `head` [P], but may be of the neck's.
  """
  pictures = [shot.picture for shot in shots]
  of_head, of_all = (
    backdrop.judge(backdrop.credibility(pictures, masks, share), colour) for share in (0.75, 1.0)
  )
  return np.clip((np.where(head, of_head, of_all) - _BACKDROP[0]) / np.ptp(_BACKDROP), 0, 1)


def _own(shot: Shot, identity: np.ndarray) -> np.ndarray:
  return np.asarray(identity if shot.identity is None else shot.identity, np.float32)


def _eyes(
  head: Head, identity, shots: Sequence[Shot], lamp: np.ndarray, iris: float
) -> np.ndarray | None:
  identities = [_own(shot, identity) for shot in shots]
  coefficients = [shot.coefficients for shot in shots]
  pictures = [shot.picture for shot in shots]
  return eye_colours.fit(head, identities, coefficients, pictures, lamp, iris)


@jax.jit(static_argnames='size')
def _project(head: Head, identity, coefficients: Coefficients, corners, weights, size: int):
  """Where texels lie in a picture [P, 2] px, their normals [P, 3], how much they face the camera.

  The last is the cosine [P], or -1 behind something else; also returns the mask of the head [S, S].
  """
  vertices = render.posed(head, identity, coefficients)
  normals = render.normals(vertices, head.triangles)
  point = (vertices[corners] * weights[..., None]).sum(1)
  normal = (normals[corners] * weights[..., None]).sum(1)
  normal = normal / jnp.maximum(jnp.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
  fragments = raster.rasterize(camera.project(camera.DEFAULT, vertices, size), head.triangles, size)
  place = camera.project(camera.DEFAULT, point, size)
  column, row = jnp.clip(place[:, :2].astype(jnp.int32), 0, size - 1).T
  behind = place[:, 2] > fragments.depth[row, column] + _DEPTH_SLACK
  ray = jnp.array([[0.0, 0.0, camera.DEFAULT.distance]]) - point
  facing = (normal * ray).sum(-1) / jnp.linalg.norm(ray, axis=-1)
  facing = jnp.where(behind | ~_within(place, size), -1.0, facing)
  return place[:, :2], normal, facing, fragments.triangle >= 0


def _within(place: jax.Array, size: int) -> jax.Array:
  return ((place[:, :2] >= 1) & (place[:, :2] < size - 1)).all(-1)


@jax.jit
def _sample(picture: jax.Array, place: jax.Array) -> jax.Array:
  """Bilinear values [P, C] of a square picture [S, S, C] at px [P, 2]."""
  return chart.look_up(picture, place / len(picture))


def _skin_brightness(head: Head) -> float:
  colours = np.asarray(head.albedo)[np.asarray(head.skin) > 0.5]
  return float(np.median(colours @ _GREY))


def _light_on_even_skin(seen: _Seen, brightness: float) -> np.ndarray:
  """The light [9] under which a face of one albedo would look most like this one.

  Brows, lips and hair do not: they lose their weight in a few rounds (Tukey's biweight).
  """
  grey = seen.colour @ _GREY
  lamp = light.DEFAULT_LIGHT * _ratio(grey, brightness * (seen.basis @ light.DEFAULT_LIGHT), seen)
  for scale in (0.5, 0.35, 0.25, 0.2):
    off = np.abs(grey / np.maximum(brightness * (seen.basis @ lamp), 1e-3) - 1) / scale
    weight = seen.weight * np.clip(1 - off**2, 0, 1) ** 2
    lamp = _solve(seen.basis * brightness, grey, weight, lamp)
  return lamp


def _light(seen: _Seen, albedo: np.ndarray, lamp: np.ndarray) -> np.ndarray:
  """The light [9] that explains how skin of known albedo [P] changes as the head turns."""
  grey = seen.colour @ _GREY
  off = np.abs(grey - albedo * (seen.basis @ lamp)) / 0.15
  weight = seen.weight * np.clip(1 - off**2, 0, 1) ** 2
  return _solve(seen.basis * albedo[None, :, None], grey, weight, lamp)


def _solve(basis, grey, weight, prior: np.ndarray) -> np.ndarray:
  """Least squares of basis [N, P, 9] @ lamp = grey [N, P], drawn toward `prior` [9]."""
  rows = basis.reshape(-1, 9)
  weighted = rows * weight.reshape(-1, 1)
  matrix = weighted.T @ rows
  ridge = _LIGHT_PRIOR * np.trace(matrix) / 9 * np.eye(9)
  return np.linalg.solve(matrix + ridge, weighted.T @ grey.ravel() + ridge @ prior)


def _ratio(a: np.ndarray, b: np.ndarray, seen: _Seen) -> float:
  """The median of a / b where the face is seen well."""
  return float(np.median((a / np.maximum(b, 1e-3))[seen.weight > 0.3 * seen.weight.max()]))


def _albedo(seen: _Seen, lamp: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Robust means [P, 3] over the frames, and how far the frames disagree [P]."""
  shade = seen.basis @ lamp
  shade = np.maximum(shade, _DARKEST * np.average(shade, weights=seen.weight))
  values = (seen.colour / shade[..., None]).astype(np.float32)
  middle = _median(values, seen.weight > 0.02)
  off = np.abs(values - middle).max(-1)
  spread = _median(off[..., None], seen.weight > 0.02)[:, 0]
  weight = seen.weight * (off <= 2.0 * spread + 0.01)
  total = weight.sum(0)[:, None]
  mean = (values * weight[..., None]).sum(0) / np.maximum(total, 1e-9)
  return np.where(total > 0, mean, middle), spread


def _median(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
  """Medians [P, C] over the valid ones of values [N, P, C]; 0 where there is none."""
  ordered = np.sort(np.where(valid[..., None], values, np.inf), axis=0)
  middle = np.maximum(valid.sum(0) - 1, 0) // 2
  found = np.take_along_axis(ordered, middle[None, :, None], 0)[0]
  return np.where(np.isfinite(found), found, 0.0)


def _typical(seen: _Seen, albedo: np.ndarray) -> float:
  """The brightness that most skin has: the median where it is seen well."""
  often = seen.weight.mean(0)
  return float(np.median((albedo @ _GREY)[often > 0.5 * often.max()]))


def _trust(seen: _Seen, spread: np.ndarray) -> np.ndarray:
  """How far a texel is believed [P], 0..1."""
  enough = np.clip(seen.weight.mean(0) / _ENOUGH, 0, 1)
  return enough / (1 + (spread / _UNSTEADY) ** 4)
