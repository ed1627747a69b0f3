"""Reads the head of Google's GNM (`gnm_head.npz` of version 3, Apache-2.0); it does not ship.

Its coefficients are numbers of a layout of their own, 383 of expression; nothing says which of
them make an ARKit blendshape. It has no colours: those here are ours, by its groups of vertices.
Pose moves the whole of it, shoulders too: its neck joint and what that corrects are left out.
"""

import os

import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.face import chart
from gmtalker_jax.face.model import FaceModel, outwards, single
from gmtalker_jax.face.morphable import GROUPS, Head
from gmtalker_jax.io import arrays as npz

MARK = 'template_vertex_positions'  # an array that no other kind of file has
_MOST_BYTES = 400_000_000  # unpacked; version 3 has about 140 million
_MOST_VERTICES = 200_000
_NAMES = (
  MARK, 'template_joint_positions', 'vertex_identity_basis', 'expression_basis', 'triangles',
  'skinning_weights', 'joint_names', 'vertex_groups', 'vertex_group_names',
)  # fmt: skip
_SKIN = (0.72, 0.52, 0.42)
# Group of vertices -> its colour; earlier versions of a name come first.
_COLOURS = {
  'sclera': (0.85, 0.82, 0.79), 'scleras': (0.85, 0.82, 0.79), 'teeth': (0.84, 0.79, 0.70),
  'gums': (0.55, 0.22, 0.20), 'tongue': (0.62, 0.24, 0.22), 'mouth_sock': (0.36, 0.11, 0.10),
}  # fmt: skip
_PARTS = {  # of GROUPS, whose vertices have these names
  'left eye': ('left_eye',),
  'right eye': ('right_eye',),
  'upper teeth': ('upper_teeth', 'upper_teeth_and_gums'),
  'lower teeth': ('lower_teeth', 'lower_teeth_and_gums'),
  'tongue': ('tongue',),
}
_SHELLS = ('eyeball_exterior', 'eye_exteriors')  # clear in life; they would hide the irises


def load(path: str | os.PathLike) -> FaceModel:
  """Reads shape, triangles, eyes and groups; the file's axes are ours, its lengths metres.

  The origin moves to the joint of the head, and the head is made one head width wide. Each eye
  turns about its joint. There are no landmarks.

  Raises:
    InputError: no such file, damaged, or arrays that do not fit together.
  """
  file = npz.read(path, _MOST_BYTES, _NAMES)
  try:
    with np.errstate(all='ignore'):  # what is too large is refused by `single`
      return _model(_arrays(file), _words(file, 'joint_names'), _words(file, 'vertex_group_names'))
  except (TypeError, ValueError, KeyError, IndexError, OverflowError) as error:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
    raise InputError(
      f'got {str(path)!r} ({reason}), expected the arrays of gnm_head.npz of GNM 3'
    ) from None


def _arrays(file: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """The arrays that `_model` needs, of shapes that fit together."""
  v, i = len(file[MARK]), len(file['vertex_identity_basis'])
  e, j = len(schema.LAYOUTS['gnm'].expression), len(_words(file, 'joint_names'))
  g = len(_words(file, 'vertex_group_names'))
  shapes = {
    MARK: (v, 3), 'template_joint_positions': (j, 3), 'vertex_identity_basis': (i, v, 3),
    'expression_basis': (e, v, 3), 'skinning_weights': (j, v), 'vertex_groups': (g, v),
  }  # fmt: skip
  if not 3 <= v <= _MOST_VERTICES:
    raise ValueError(f'{v} vertices')
  for key, shape in shapes.items():
    array = file[key]
    if array.shape != shape or array.dtype.kind not in 'fiu' or not np.isfinite(array).all():
      raise ValueError(f'{key} {list(array.shape)}, not {list(shape)}')
  triangles = file['triangles']
  if triangles.ndim != 2 or triangles.shape[1] != 3 or not triangles.size:
    raise ValueError(f'triangles {list(triangles.shape)}')
  if triangles.dtype.kind not in 'iu' or not 0 <= triangles.min() <= triangles.max() < v:
    raise ValueError('triangles that name no vertex')
  return {key: file[key] for key in (*shapes, 'triangles')}


def _words(file: dict[str, np.ndarray], key: str) -> list[str]:
  return [str(word) for word in file[key].reshape(-1)]


def _model(arrays: dict[str, np.ndarray], joints: list[str], names: list[str]) -> FaceModel:
  groups = dict(zip(names, arrays['vertex_groups'] > 0.5, strict=True))
  origin = arrays['template_joint_positions'][joints.index('head')].astype(np.float64)
  mean = arrays[MARK].astype(np.float64) - origin
  on_head = arrays['skinning_weights'][joints.index('head')] >= 0.5
  unit = float(np.ptp(mean[on_head, 0])) if on_head.any() else 0.0
  if not unit > 0:
    raise ValueError('a head without a width')
  mean = single(mean / unit)
  shell = np.any([groups[name] for name in _SHELLS if name in groups] or [~on_head & False], 0)
  triangles = outwards(mean, arrays['triangles']).astype(np.int32)
  triangles = triangles[~shell[triangles].all(1)]
  group = np.zeros(len(triangles), np.int8)
  for part, known in _PARTS.items():
    for name in set(known) & set(groups):
      group[groups[name][triangles].all(1)] = GROUPS.index(part)
  albedo = np.tile(np.array(_SKIN, np.float32), (len(mean), 1))
  for name in _COLOURS.keys() & groups.keys():
    albedo[groups[name]] = _COLOURS[name]
  sides = [joints.index(name) for name in ('left_eye', 'right_eye')]
  eyes = [np.flatnonzero(arrays['skinning_weights'][side] > 0.5) for side in sides]
  if not all(map(len, eyes)):
    raise ValueError('no vertices that turn with the eyes')
  head = Head(
    mean=jnp.asarray(mean),
    identity=_scaled(arrays['vertex_identity_basis'], unit),
    expression=_scaled(arrays['expression_basis'], unit),
    triangles=jnp.asarray(triangles),
    triangle_group=jnp.asarray(group),
    uv=chart.unroll(jnp.asarray(mean)),
    skin=chart.skin(jnp.asarray(albedo), jnp.asarray(triangles), jnp.asarray(group)),
    albedo=jnp.asarray(albedo),
    eye_centre=_scaled(arrays['template_joint_positions'][sides] - origin, unit),
    # The smaller eye names some of its vertices twice, since both have one array.
    eye_vertices=jnp.asarray([np.resize(eye, max(map(len, eyes))) for eye in eyes], jnp.int32),
    landmark_triangle=jnp.zeros(0, jnp.int32),
    landmark_barycentric=jnp.zeros((0, 3)),
  )
  return FaceModel(head, 'gnm', unit)


def _scaled(directions: np.ndarray, unit: float) -> jax.Array:
  return jnp.asarray(single(directions / unit))
