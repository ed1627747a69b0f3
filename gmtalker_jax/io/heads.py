"""Loads head models from disk."""

import os
from importlib import resources

import jax.numpy as jnp
import numpy as np

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.face import chart
from gmtalker_jax.face.morphable import Head

KEYS = (
  'mean', 'identity', 'expression', 'triangles', 'triangle_group', 'uv', 'albedo', 'blendshapes',
  'eye_centre', 'landmark_triangle', 'landmark_barycentric',
)  # fmt: skip


def load_head(path: str = 'builtin') -> Head:
  """Loads a head from an npz file (see data_pipelines/head.py); 'builtin' is the CC0 head.

  Raises:
    InputError: no such file, a key is missing, or its blendshapes are not schema.BLENDSHAPES.
  """
  if path == 'builtin':
    path = str(resources.files('gmtalker_jax.face') / 'head.npz')
  if not os.path.isfile(path):
    raise InputError(f"got head '{path}', expected 'builtin' or an npz file, check the path")
  with np.load(path, allow_pickle=False) as file:
    missing = [key for key in KEYS if key not in file]
    if missing:
      raise InputError(f'got {path} without {missing}, expected a head, run data_pipelines.head')
    arrays = {key: file[key] for key in KEYS}
  names = tuple(map(str, arrays.pop('blendshapes')))
  if names != schema.BLENDSHAPES:
    raise InputError(f'got other blendshapes in {path}, expected the 52 of ARKit, rebuild the head')
  arrays = {key: a.astype(np.float32) if a.dtype.kind == 'f' else a for key, a in arrays.items()}
  # A vertex on a seam of the file's atlas has one address of two, and triangles there span half of
  # it. That is good enough for the masks that the head was painted with, not for a texture.
  arrays['uv'] = chart.unroll(arrays['mean'])
  arrays['skin'] = chart.skin(*(arrays[key] for key in ('albedo', 'triangles', 'triangle_group')))
  return Head(
    **{key: jnp.asarray(a) for key, a in arrays.items()}, eye_vertices=_eye_vertices(arrays)
  )


def _eye_vertices(arrays):
  """[2, E] the vertices of the triangles of group 1 (left eye) and 2 (right eye)."""
  eyes = [np.unique(arrays['triangles'][arrays['triangle_group'] == group]) for group in (1, 2)]
  return jnp.asarray(np.stack(eyes), jnp.int32)
