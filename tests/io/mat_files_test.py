"""MATLAB files, read beside scipy's own reading."""

import zlib

import numpy as np
import pytest

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import mat_files

sio = pytest.importorskip('scipy.io')


@pytest.mark.parametrize('packed', [False, True])
def test_reads_what_scipy_writes(tmp_path, packed):
  numbers = np.random.default_rng(0)
  arrays = {
    'coeff': numbers.normal(size=(7, 257)).astype(np.float32),
    'double': numbers.normal(size=(3, 2, 4)),
    'small': np.array([[1.0, 2.0, 250.0]]),  # stored as bytes
    'tri': numbers.integers(0, 70_000, (5, 3)).astype(np.int32),
    'long': numbers.integers(0, 1 << 40, (2, 2)),
    'empty': np.zeros((0, 3)),
  }
  others = {'text': 'hello', 'complex': np.array([[1 + 2j]]), 'struct': {'a': 1}}
  sio.savemat(tmp_path / 'f.mat', arrays | others, do_compression=packed)
  found = mat_files.read(tmp_path / 'f.mat')
  assert found.keys() == arrays.keys()
  for name, value in arrays.items():
    assert found[name].dtype == value.dtype, name
    np.testing.assert_array_equal(found[name], value)


def test_what_unfolds_without_end_is_refused(tmp_path, monkeypatch):
  monkeypatch.setattr(mat_files, 'MOST_BYTES', 1_000_000)
  sio.savemat(tmp_path / 'f.mat', {'a': np.zeros((4_000, 100))}, do_compression=True)
  assert (tmp_path / 'f.mat').stat().st_size < 100_000
  with pytest.raises(InputError, match='more than 1000000 bytes unpacked'):
    mat_files.read(tmp_path / 'f.mat')


_HEADER = b' ' * 124 + b'\x00\x01IM'
_BEYOND = _HEADER + b'\x0e\0\0\0\xff\xff\xff\x7f'
_CUT = _HEADER + b'\x0f\0\0\0\x08\0\0\0' + zlib.compress(b'x')[:8]


@pytest.mark.parametrize('data', [b'', b'MATLAB 7.3 MAT-file', bytes(200), _BEYOND, _CUT])
def test_other_files_are_one_line(tmp_path, data):
  (tmp_path / 'f.mat').write_bytes(data)
  with pytest.raises(InputError, match='cannot read') as caught:
    mat_files.read(tmp_path / 'f.mat')
  assert '\n' not in str(caught.value)
