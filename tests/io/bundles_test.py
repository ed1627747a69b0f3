import json
import struct

import numpy as np
import pytest

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import bundles

NETWORKS = ('expression', 'motion', 'portrait')
TENSORS = {
  'expression': {'a/kernel': np.arange(6.0).reshape(2, 3).T},
  'motion': {'b': np.ones(2)},
  'portrait': {'c': np.full(3, 0.1), 'scalar': np.array(0.5)},
}


@pytest.fixture
def folder(tmp_path):
  bundles.save(tmp_path / 't', {'seed': 3}, TENSORS, {'made': 'here'})
  return tmp_path / 't'


@pytest.mark.parametrize(('dtype', 'tolerance'), [('float32', 1e-7), ('float16', 1e-4)])
def test_round_trip(tmp_path, dtype, tolerance):
  bundles.save(tmp_path / 't', {'seed': 3}, TENSORS, {}, dtype)
  bundle = bundles.load(tmp_path / 't', NETWORKS)
  assert bundle.description['seed'] == 3
  for network, tensors in TENSORS.items():
    for name, value in tensors.items():
      assert bundle.tensors[network][name].dtype == np.float32
      assert bundle.tensors[network][name].shape == value.shape
      np.testing.assert_allclose(bundle.tensors[network][name], value, atol=tolerance)


def test_replaces_an_older_talker_but_nothing_else(folder, tmp_path):
  bundles.save(folder, {'seed': 4}, TENSORS, {})
  assert bundles.load(folder, NETWORKS).description['seed'] == 4
  assert [p.name for p in tmp_path.iterdir()] == ['t']
  (folder / 'diary.txt').write_text('mine')
  with pytest.raises(InputError, match=r'diary\.txt'):
    bundles.save(folder, {}, TENSORS, {})
  assert (folder / 'diary.txt').exists()


def test_a_failed_save_leaves_nothing(tmp_path):
  with pytest.raises(TypeError):
    bundles.save(tmp_path / 't', {'seed': object()}, TENSORS, {})
  assert not list(tmp_path.iterdir())


def test_one_flipped_bit_is_found(folder):
  path = folder / 'portrait.safetensors'
  data = bytearray(path.read_bytes())
  data[-1] ^= 1
  path.write_bytes(data)
  with pytest.raises(InputError, match='damaged'):
    bundles.load(folder, NETWORKS)


def _resign(folder, name, data):
  import hashlib

  (folder / name).write_bytes(data)
  talker = json.loads((folder / 'talker.json').read_text())
  talker['sha256'][name] = hashlib.sha256(data).hexdigest()
  (folder / 'talker.json').write_text(json.dumps(talker))


_OVERLAP = json.dumps(
  {
    'a': {'dtype': 'F32', 'shape': [2], 'data_offsets': [0, 8]},
    'b': {'dtype': 'F32', 'shape': [2], 'data_offsets': [4, 12]},
  }
).encode()
_NAN = json.dumps({'a': {'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 4]}}).encode()
_INTEGER = json.dumps({'a': {'dtype': 'I64', 'shape': [1], 'data_offsets': [0, 8]}}).encode()


@pytest.mark.parametrize(
  'data',
  [
    b'',
    b'\x80\x04\x95pickle',
    struct.pack('<Q', 1 << 62) + b'{}',
    struct.pack('<Q', len(_OVERLAP)) + _OVERLAP + bytes(12),
    struct.pack('<Q', len(_NAN)) + _NAN + struct.pack('<f', float('nan')),
    struct.pack('<Q', len(_INTEGER)) + _INTEGER + bytes(8),
  ],
  ids=['empty', 'pickle', 'huge header', 'overlap', 'nan', 'integers'],
)
def test_hostile_safetensors(folder, data):
  _resign(folder, 'motion.safetensors', data)
  with pytest.raises(InputError) as caught:
    bundles.load(folder, NETWORKS)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  'text',
  [
    b'',
    b'[]',
    b'{"format": "gmtalker-talker"}',
    b'{"format": "gmtalker-talker", "version": NaN}',
    b'[' * 200_000,
    b'\xff\xfe',
    b'{"format": "gmtalker-talker", "version": 2, "sha256": 3}',
    b' ' * (2 << 20),
  ],
)
def test_hostile_description(folder, text):
  (folder / 'talker.json').write_bytes(text)
  with pytest.raises(InputError):
    bundles.load(folder, NETWORKS)


def test_missing_talker_says_what_to_do(tmp_path):
  with pytest.raises(InputError, match='gmtalker bundle'):
    bundles.load(tmp_path / 'nobody', NETWORKS)
