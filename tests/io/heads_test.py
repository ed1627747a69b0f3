import json
import os
from importlib import resources

import numpy as np
import pytest

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.io.heads import load_head

BUILTIN = resources.files('gmtalker_jax.face') / 'head.npz'


def test_the_builtin_head_is_small_and_speaks_arkit():
  assert os.path.getsize(str(BUILTIN)) <= 5e6
  with np.load(str(BUILTIN)) as file:
    assert tuple(map(str, file['blendshapes'])) == schema.BLENDSHAPES


def test_the_builtin_head_is_sound():
  head = load_head()
  triangles = np.asarray(head.triangles)
  assert triangles.min() == 0
  assert triangles.max() == len(head.mean) - 1
  assert 0 <= np.asarray(head.albedo).min() <= np.asarray(head.albedo).max() <= 1
  np.testing.assert_allclose(np.asarray(head.landmark_barycentric).sum(1), 1, atol=1e-5)
  assert np.asarray(head.landmark_barycentric).min() >= 0
  # Eyeballs turn and do not slide, and hang together with nothing else.
  assert not np.asarray(head.expression)[:, np.asarray(head.eye_vertices).ravel()].any()
  # Directions are standard deviations of a PCA: orthogonal and in falling order.
  flat = np.asarray(head.identity).reshape(80, -1)
  lengths = np.linalg.norm(flat, axis=1)
  assert (np.diff(lengths) < 1e-3).all()
  cosines = (flat @ flat.T) / np.outer(lengths, lengths)
  assert abs(cosines - np.eye(80)).max() < 1e-2


def test_provenance_lies_beside_the_head():
  note = json.loads((resources.files('gmtalker_jax.face') / 'head.json').read_text())
  assert note['licence'] == 'CC0-1.0'
  assert len(note['inputs_sha256']) > 100
  assert note['vertices'] == len(load_head().mean)


def test_bad_heads_are_told_in_one_line(tmp_path):
  with pytest.raises(InputError, match="expected 'builtin' or an npz file"):
    load_head(str(tmp_path / 'none.npz'))
  with np.load(str(BUILTIN)) as file:
    arrays = {key: file[key] for key in file}
  swapped = arrays | {'blendshapes': arrays['blendshapes'][::-1]}
  np.savez(tmp_path / 'swapped.npz', **swapped)
  with pytest.raises(InputError, match='got other blendshapes'):
    load_head(str(tmp_path / 'swapped.npz'))
  del arrays['albedo']
  np.savez(tmp_path / 'old.npz', **arrays)
  with pytest.raises(InputError, match='albedo'):
    load_head(str(tmp_path / 'old.npz'))
