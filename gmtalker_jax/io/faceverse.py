"""Reads FaceVerse v3 (`faceverse_v3_6_s.npy`, a pickled dictionary); it is not ours."""

import os

import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.face import chart, faceverse
from gmtalker_jax.face.model import FaceModel, outwards, single
from gmtalker_jax.face.morphable import GROUPS, Head
from gmtalker_jax.io import pickles

_SCALE = 0.01  # of the file's lengths to those of its coefficients
_LANDMARKS = 478
_EYE_DEPTH = 0.005  # how far behind its surface's mean an eye turns, in those lengths
_MOST_VERTICES = 200_000
_WIDTHS = {
  'meanshape': 1, 'meantex': 1, 'idBase': faceverse.IDENTITY, 'exBase_52': faceverse.EXPRESSION,
  'texBase': faceverse.TEXTURE,
}  # fmt: skip


def load(path: str | os.PathLike) -> FaceModel:
  """Reads shape, colours, triangles, eyeballs and landmarks; the file's axes are ours.

  `ver_inds` says where the vertices of the face, the left and the right eyeball end, and `tri_inds`
  where their triangles do; what comes after is not shown, as in its own renderings. The head keeps
  its origin, and is made one head width wide.

  Raises:
    InputError: no such file, damaged, with more than numbers in it, or arrays that do not fit.
  """
  try:
    file = pickles.read_npy(path)
  except Exception as error:  # a damaged pickle raises anything
    reason = f'{type(error).__name__}: {error}'.splitlines()[0][:120]
    raise InputError(
      f'cannot read {str(path)!r} ({reason}), expected faceverse_v3_6_s.npy of FaceVerse v3'
    ) from None
  try:
    with np.errstate(all='ignore'):  # what is too large is refused by `single`
      return _model(_arrays(file), _order(file))
  except (TypeError, ValueError, KeyError, IndexError, OverflowError) as error:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
    raise InputError(
      f'got {str(path)!r} ({reason}), expected the arrays of faceverse_v3_6_s.npy of FaceVerse v3'
    ) from None


def _arrays(file: dict) -> dict[str, np.ndarray]:
  """The arrays, with the shapes that `_model` counts on."""
  count = np.asarray(file['meanshape']).size // 3
  if not 3 <= count <= _MOST_VERTICES:
    raise ValueError(f'{count} vertices')
  found: dict[str, np.ndarray] = {
    key: _finite(key, file[key]).reshape(count, 3, width) for key, width in _WIDTHS.items()
  }
  whole = {'tri': (-1, 3), 'ver_inds': (3,), 'tri_inds': (3,), 'mediapipe_keypoints': (_LANDMARKS,)}
  for key, shape in whole.items():
    found[key] = _finite(key, file[key]).astype(np.int64).reshape(shape)
  ends, shown = found['ver_inds'], found['tri'][: found['tri_inds'][2]]
  numbers = np.concatenate([shown.reshape(-1), found['mediapipe_keypoints']])
  ordered = 0 < ends[0] < ends[1] < ends[2] <= count and found['tri_inds'][2] > 0
  if not ordered or not len(shown) or not 0 <= numbers.min() <= numbers.max() < count:
    raise ValueError('triangles, eyes or landmarks that name no vertex')
  return found


def _finite(key: str, value: object) -> np.ndarray:
  array = np.asarray(value)
  if array.dtype.kind not in 'fiu' or not np.isfinite(array).all():
    raise ValueError(f'{key} is no array of numbers')
  return array


def _order(file: dict) -> list[int]:
  """Where each ARKit blendshape is: by the file's names where they are ARKit's, else in order."""
  names = [str(name).lower() for name in np.asarray(file.get('exp_name_list_52', [])).reshape(-1)]
  wanted = [name.lower() for name in schema.BLENDSHAPES]
  if sorted(names) == sorted(wanted):
    return [names.index(name) for name in wanted]
  return list(range(len(wanted)))


def _model(arrays: dict[str, np.ndarray], order: list[int]) -> FaceModel:
  ends = arrays['ver_inds']
  mean = arrays['meanshape'][:, :, 0].astype(np.float64) * _SCALE
  unit = float(np.ptp(mean[: ends[0], 0]))
  if not unit > 0:
    raise ValueError('a head without a width')
  mean = single(mean / unit)
  triangles = outwards(mean, arrays['tri'][: arrays['tri_inds'][2]]).astype(np.int32)
  group = (np.searchsorted(ends, triangles[:, 0], 'right') % 3).astype(np.int8)
  albedo = np.clip(arrays['meantex'][:, :, 0] / 255, 0, 1).astype(np.float32)
  eyes = np.stack([_eye(ends[0], ends[1], ends), _eye(ends[1], ends[2], ends)])
  at, corners = _landmarks(mean, triangles, arrays['mediapipe_keypoints'])
  assert GROUPS[1:3] == ('left eye', 'right eye')
  head = Head(
    mean=jnp.asarray(mean),
    identity=_directions(arrays['idBase'], _SCALE / unit),
    expression=_directions(arrays['exBase_52'][:, :, order], _SCALE / unit),
    triangles=jnp.asarray(triangles),
    triangle_group=jnp.asarray(group),
    uv=chart.unroll(jnp.asarray(mean)),
    skin=chart.skin(jnp.asarray(albedo), jnp.asarray(triangles), jnp.asarray(group)),
    albedo=jnp.asarray(albedo),
    eye_centre=jnp.asarray(single(mean[eyes].mean(1) - [0, 0, _EYE_DEPTH / unit])),
    eye_vertices=jnp.asarray(eyes),
    landmark_triangle=jnp.asarray(at),
    landmark_barycentric=jnp.asarray(corners),
  )
  texture = np.asarray(_directions(arrays['texBase'], 1 / 255))
  return FaceModel(head, 'arkit', unit, texture, faceverse.camera(unit))


def _eye(start: int, end: int, ends: np.ndarray) -> np.ndarray:
  """Vertices of one eye; the smaller eye names some twice, since both have one array."""
  return np.resize(np.arange(start, end, dtype=np.int32), max(ends[1] - ends[0], ends[2] - ends[1]))


def _landmarks(mean, triangles, points) -> tuple[np.ndarray, np.ndarray]:
  """Triangles [478] and shares of their corners [478, 3]: the vertex, or the nearest shown."""
  shown = np.unique(triangles)
  nearest = [shown[((mean[shown] - mean[point]) ** 2).sum(1).argmin()] for point in points]
  at = [int((triangles == vertex).any(1).argmax()) for vertex in nearest]
  corners = triangles[at] == np.asarray(nearest)[:, None]
  return np.asarray(at, np.int32), (corners / corners.sum(1, keepdims=True)).astype(np.float32)


def _directions(base: np.ndarray, scale: float) -> jax.Array:
  """[V, 3, N] -> [N, V, 3]."""
  return jnp.asarray(single(np.moveaxis(base, 2, 0) * scale))
