"""The colours of a person's eyes, from where the fitted head shows an eyeball."""

from collections.abc import Sequence

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax.face import camera, light, raster, render
from gmtalker_jax.face.morphable import Head
from gmtalker_jax.types import Coefficients

_SURE = 0.04  # of the eyeball's radius: so near the rim of iris or pupil a pixel is a mixture
_FEW = 40  # pixels of all frames together: fewer say nothing


def fit(
  head: Head,
  identities: Sequence[np.ndarray],
  coefficients: Sequence[Coefficients],
  pictures: Sequence[np.ndarray],
  lamp: np.ndarray,
  iris: float = render.IRIS,
) -> np.ndarray | None:
  """Medians over all frames of the white and of the iris, [2, 3] albedo 0..1.

  Args:
    head: the model.
    identities: [I] of each frame.
    coefficients: expression [50], motion [12] of each frame.
    pictures: uint8 [S, S, 3] of each frame.
    lamp: [9] the light on them.
    iris: its radius as a share of the eyeball's.

  Returns:
    the colours; None where the eyes are too small or shut.
  """
  found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
  for identity, frame, picture in zip(identities, coefficients, pictures, strict=True):
    radius, shade = map(np.asarray, _eyes(head, identity, frame, lamp, len(picture)))
    radius = radius * (render.IRIS / iris)
    # Lashes and lids are not quite where the model has them.
    sure = cv2.erode((radius > 0).astype(np.uint8), np.ones((3, 1), np.uint8)) > 0
    colour = picture / 255 / np.maximum(shade, 1e-3)
    ring = (radius > render.PUPIL + _SURE) & (radius < render.IRIS - 0.1 - _SURE)
    for colours, region in zip(found, (radius > render.IRIS + _SURE, ring), strict=True):
      colours.append(colour[region & sure])
  white, coloured = map(np.concatenate, found)
  if min(len(white), len(coloured)) < _FEW:
    return None
  medians = np.stack([np.median(white, 0), np.median(coloured, 0)])
  return np.clip(medians, 0, 1).astype(np.float32)


@jax.jit(static_argnames='size')
def _eyes(head: Head, identity, frame: Coefficients, lamp, size: int):
  """How far from the middle of the pupil a pixel is [S, S], 0 off the eyes; its shade [S, S, 1]."""
  vertices = render.posed(head, jnp.asarray(identity), frame)
  projected = camera.project(camera.DEFAULT, vertices, size)
  fragments = raster.rasterize(projected, head.triangles, size)
  attributes = [render.eye_directions(head), render.normals(vertices, head.triangles)]
  pixels = raster.interpolate(fragments, head.triangles, jnp.concatenate(attributes, -1))
  eye, normal = (
    v / jnp.maximum(jnp.linalg.norm(v, axis=-1, keepdims=True), 1e-9)
    for v in jnp.split(pixels, 2, -1)
  )
  group = head.triangle_group[fragments.triangle]
  ball = (fragments.triangle >= 0) & ((group == 1) | (group == 2)) & (eye[..., 2] > 0.5)
  radius = jnp.hypot(eye[..., 0], eye[..., 1]) + 1e-6
  return jnp.where(ball, radius, 0.0), light.shade(normal, lamp)
