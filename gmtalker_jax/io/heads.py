"""Loads head models from disk, of every kind behind one function."""

import functools
import hashlib
import os
from importlib import resources

import jax.numpy as jnp
import numpy as np

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.face import chart
from gmtalker_jax.face.model import FaceModel
from gmtalker_jax.face.morphable import GROUPS, Head
from gmtalker_jax.io import arrays as npz
from gmtalker_jax.io import bfm, faceverse, gnm

KEYS = (
  'mean', 'identity', 'expression', 'triangles', 'triangle_group', 'uv', 'albedo', 'blendshapes',
  'eye_centre', 'landmark_triangle', 'landmark_barycentric',
)  # fmt: skip
_BUILTIN = resources.files('gmtalker_jax.face') / 'head.npz'
_MOST_BYTES = 200_000_000  # unpacked; the built-in head has 8 million


def load(path: str = 'builtin') -> FaceModel:
  """Loads any face model: 'builtin', or by what the file is one of these.

    .mat  BFM 2009, BFM_model_front.mat of Deep3DFaceRecon (io/bfm.py)
    .npy  FaceVerse v3, faceverse_v3_6_s.npy (io/faceverse.py)
    .npz  GNM 3, gnm_head.npz (io/gnm.py); or a head of data_pipelines/head.py

  Raises:
    InputError: no such file, another kind, damaged, or arrays that do not fit together.
  """
  kinds = {'.mat': bfm.load, '.npy': faceverse.load}
  suffix = os.path.splitext(path)[1].lower()
  if path != 'builtin' and os.path.isfile(path):
    if suffix in kinds:
      return kinds[suffix](path)
    if npz.has(path, gnm.MARK):
      return gnm.load(path)
  return FaceModel(load_head(path))


def load_head(path: str = 'builtin') -> Head:
  """Loads a head of our own form (see data_pipelines/head.py); 'builtin' is the CC0 head.

  Raises:
    InputError: no such file, a key is missing, or its blendshapes are not schema.BLENDSHAPES.
  """
  if path == 'builtin':
    path = str(_BUILTIN)
  if not os.path.isfile(path):
    raise InputError(f"got head '{path}', expected 'builtin' or an npz file, check the path")
  file = npz.read(path, _MOST_BYTES)
  missing = [key for key in KEYS if key not in file]
  if missing:
    raise InputError(f'got {path} without {missing}, expected a head, run data_pipelines.head')
  arrays = {key: file[key] for key in KEYS}
  names = tuple(map(str, arrays.pop('blendshapes')))
  if names != schema.BLENDSHAPES:
    raise InputError(f'got other blendshapes in {path}, expected the 52 of ARKit, rebuild the head')
  _check(arrays, path)
  arrays = {key: a.astype(np.float32) if a.dtype.kind == 'f' else a for key, a in arrays.items()}
  # A vertex on a seam of the file's atlas has one address of two, and triangles there span half of
  # it. That is good enough for the masks that the head was painted with, not for a texture.
  arrays['uv'] = chart.unroll(arrays['mean'])
  arrays['skin'] = chart.skin(*(arrays[key] for key in ('albedo', 'triangles', 'triangle_group')))
  return Head(
    **{key: jnp.asarray(a) for key, a in arrays.items()}, eye_vertices=_eye_vertices(arrays)
  )


@functools.cache
def name() -> str:
  """The built-in head with a digest: renderings of another one are another language."""
  return f'builtin@{hashlib.sha256(_BUILTIN.read_bytes()).hexdigest()[:8]}'


def _check(arrays: dict[str, np.ndarray], path: str) -> None:
  """Raises InputError unless the arrays of a file fit together."""
  v, f, i = (
    len(arrays[key]) if arrays[key].ndim else 0 for key in ('mean', 'triangles', 'identity')
  )
  shapes = {
    'mean': (v, 3), 'identity': (i, v, 3), 'expression': (len(schema.BLENDSHAPES), v, 3),
    'uv': (v, 2), 'albedo': (v, 3), 'triangles': (f, 3), 'triangle_group': (f,),
    'eye_centre': (2, 3), 'landmark_triangle': (478,), 'landmark_barycentric': (478, 3),
  }  # fmt: skip
  indices = {'triangles': v, 'landmark_triangle': f, 'triangle_group': len(GROUPS)}
  for key, shape in shapes.items():
    a, most = arrays[key], indices.get(key)
    fits = a.shape == shape and a.dtype.kind in ('f' if most is None else 'iu')
    if (
      not fits
      or not np.isfinite(a).all()
      or (most and a.size and not 0 <= a.min() <= a.max() < most)
    ):
      raise InputError(
        f'got {key} {list(a.shape)} in {path}, expected {list(shape)} that fits the rest'
      )
  left, right = (np.unique(arrays['triangles'][arrays['triangle_group'] == g]) for g in (1, 2))
  if not len(left) == len(right) > 0:
    raise InputError(
      f'got eyes of {len(left)} and {len(right)} vertices in {path}, expected a pair'
    )


def _eye_vertices(arrays):
  """[2, E] the vertices of the triangles of group 1 (left eye) and 2 (right eye)."""
  eyes = [np.unique(arrays['triangles'][arrays['triangle_group'] == group]) for group in (1, 2)]
  return jnp.asarray(np.stack(eyes), jnp.int32)
