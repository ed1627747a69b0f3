"""Face models of all kinds behind one form: a head, and what it takes to show its coefficients."""

from typing import NamedTuple

import numpy as np

from gmtalker_jax.face import camera as cameras
from gmtalker_jax.face.camera import Camera
from gmtalker_jax.face.morphable import Head


class FaceModel(NamedTuple):
  """A head as `io.heads.load` reads it: the built-in one, BFM 2009, FaceVerse v3 or GNM."""

  head: Head  # in head widths
  layout: str = 'arkit'  # of its coefficients, a key of schema.LAYOUTS
  unit: float = 1.0  # of its file's lengths in a head width
  texture: np.ndarray | None = None  # [N, V, 3] what a texture coefficient adds to the albedo
  camera: Camera = cameras.DEFAULT  # that its coefficients were fitted with


def single(array: np.ndarray) -> np.ndarray:
  """The array in float32. Raises ValueError for what is not finite there."""
  with np.errstate(over='ignore'):
    cast = np.asarray(array, np.float32)
  if not np.isfinite(cast).all():
    raise ValueError('numbers that are too large')
  return cast


def outwards(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
  """The triangles [F, 3] of a closed surface about the origin, all turned if they face inwards."""
  a, b, c = (points[triangles[:, i]] for i in range(3))
  volume = (np.cross(b - a, c - a) * (a + b + c)).sum()
  return triangles if volume > 0 else triangles[:, ::-1]
