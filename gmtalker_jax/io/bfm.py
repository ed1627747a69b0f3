"""Reads the Basel face model from BFM_model_front.mat of Deep3DFaceRecon; it is not ours."""

import os

import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.face import bfm, chart
from gmtalker_jax.face.model import FaceModel, outwards, single
from gmtalker_jax.face.morphable import Head
from gmtalker_jax.io import mat_files

IDENTITY, EXPRESSION, TEXTURE = 80, 64, 80
_MOST_VERTICES = 200_000


def load(path: str | os.PathLike) -> FaceModel:
  """Reads `meanshape`, `idBase`, `exBase`, `meantex`, `texBase`, `tri` and `keypoints`.

  The head is centred, and made one head width wide; triangles are turned to face outwards.

  Raises:
    InputError: no such file, damaged, or arrays that do not fit together.
  """
  file = mat_files.read(path)
  count = file['meanshape'].size // 3 if 'meanshape' in file else 0
  shapes = {
    'meanshape': (3 * count,), 'meantex': (3 * count,), 'idBase': (3 * count, IDENTITY),
    'exBase': (3 * count, EXPRESSION), 'texBase': (3 * count, TEXTURE), 'tri': (-1, 3),
    'keypoints': (-1,),
  }  # fmt: skip
  arrays = {}
  for key, shape in shapes.items():
    found = file.get(key, np.zeros(0))
    flat = found.reshape(-1) if len(shape) == 1 else found
    fits = flat.ndim == len(shape) and all(
      w in (-1, n) for n, w in zip(flat.shape, shape, strict=True)
    )
    if not fits or not flat.size or not np.isfinite(flat).all() or not 3 <= count <= _MOST_VERTICES:
      raise InputError(
        f'got {key} {list(found.shape)} in {str(path)!r}, expected that of BFM_model_front.mat of '
        'Deep3DFaceRecon'
      )
    arrays[key] = flat.astype(np.float64)
  try:
    with np.errstate(all='ignore'):  # what is too large is refused by `single`
      return _model(arrays, count, path)
  except ValueError as error:
    if isinstance(error, InputError):
      raise
    raise InputError(f'got {str(path)!r} ({error}), expected BFM_model_front.mat') from None


def _model(arrays: dict[str, np.ndarray], count: int, path: str | os.PathLike) -> FaceModel:
  triangles, points = (arrays[key].astype(np.int64) - 1 for key in ('tri', 'keypoints'))
  corners = [np.flatnonzero((triangles == point).any(1))[:1] for point in points]
  mean = arrays['meanshape'].reshape(count, 3)
  mean = mean - mean.mean(0)
  unit = float(np.ptp(mean[:, 0]))
  numbers = np.concatenate([triangles.reshape(-1), points])
  if not 0 <= numbers.min() <= numbers.max() < count or unit <= 0 or not all(map(len, corners)):
    raise InputError(
      f'got triangles or keypoints in {str(path)!r} that name no vertex, expected 1..{count}'
    )
  triangles = outwards(mean, triangles).astype(np.int32)
  at = np.concatenate(corners).astype(np.int32)
  albedo = single(arrays['meantex'].reshape(count, 3) / 255)
  group = np.zeros(len(triangles), np.int8)
  mean = single(mean / unit)
  head = Head(
    mean=jnp.asarray(mean),
    identity=_directions(arrays['idBase'] / unit),
    expression=_directions(arrays['exBase'] / unit),
    triangles=jnp.asarray(triangles),
    triangle_group=jnp.asarray(group),
    uv=chart.unroll(jnp.asarray(mean)),
    skin=chart.skin(jnp.asarray(albedo), jnp.asarray(triangles), jnp.asarray(group)),
    albedo=jnp.asarray(albedo),
    eye_centre=jnp.zeros((2, 3)),
    eye_vertices=jnp.zeros((2, 0), jnp.int32),
    landmark_triangle=jnp.asarray(at),
    landmark_barycentric=jnp.asarray(triangles[at] == points[:, None], jnp.float32),
  )
  texture = np.asarray(_directions(arrays['texBase'] / 255))
  return FaceModel(head, 'bfm', unit, texture, bfm.camera(unit))


def _directions(base: np.ndarray) -> jax.Array:
  """[3V, N] -> [N, V, 3]."""
  return jnp.asarray(single(base.T.reshape(base.shape[1], -1, 3)))
