"""Files of PyTorch, read without it; beside PyTorch's own reading."""

import collections
import io
import os
import pickle
import zipfile

import numpy as np
import pytest

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import torch_files

torch = pytest.importorskip('torch')


def save(value, path):
  torch.save(value, path)
  return path


def test_reads_what_torch_reads(tmp_path):
  torch.manual_seed(0)
  whole = torch.randn(4, 6)
  value = {
    'plain': whole,
    'turned': whole.T[1:3],
    'part': whole[1:, ::2],
    'half': whole.half(),
    'bfloat16': whole.bfloat16(),
    'double': whole.double(),
    'int': torch.arange(5),
    'bool': torch.tensor([True, False]),
    'scalar': torch.tensor(3.0),
    'empty': torch.zeros(0, 3),
    'parameter': torch.nn.Parameter(whole),
    'nested': collections.OrderedDict(
      a=[1, 'two', None, 3.5, (True,)], b={'c': torch.Size([2, 3])}
    ),
  }
  found = torch_files.read(save(value, tmp_path / 'f.pt'))
  assert found.keys() == value.keys()
  for name, tensor in value.items():
    if name != 'nested':
      assert found[name].shape == tuple(tensor.shape)
      np.testing.assert_array_equal(
        found[name].astype(np.float64), tensor.detach().to(torch.float64).numpy()
      )
  assert found['nested']['a'] == [1, 'two', None, 3.5, (True,)]
  assert found['nested']['b']['c'] == [2, 3]


class Evil:
  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return os.system, (f'touch {self.path}',)


def test_nothing_of_a_file_is_called(tmp_path):
  mark = tmp_path / 'was_here'
  with pytest.raises(InputError, match=r'names posix\.system, expected weights') as caught:
    torch_files.read(save({'w': Evil(mark)}, tmp_path / 'f.pt'))
  assert '\n' not in str(caught.value)
  assert not mark.exists()


def _archive(path, data, **entries):
  with zipfile.ZipFile(path, 'w') as file:
    file.writestr('f/data.pkl', data)
    for name, content in entries.items():
      file.writestr(f'f/data/{name}', content)
  return path


def _tensor(offset, size, stride, key='0', count=4):
  """A pickle of one tensor, as PyTorch writes it."""
  out = io.BytesIO()

  class Pickler(pickle._Pickler):
    def persistent_id(self, value):
      return value.pid if isinstance(value, Stored) else None

  class Stored:
    pid = ('storage', torch.FloatStorage, key, 'cpu', count)

  class Tensor:
    def __reduce__(self):
      return torch._utils._rebuild_tensor_v2, (Stored(), offset, size, stride, False, {})

  Pickler(out, 2).dump({'w': Tensor()})
  return out.getvalue()


def test_a_tensor_written_by_hand_is_read(tmp_path):
  numbers = np.arange(4, dtype=np.float32)
  path = _archive(tmp_path / 'f.pt', _tensor(1, (3,), (1,)), **{'0': numbers.tobytes()})
  np.testing.assert_array_equal(torch_files.read(path)['w'], [1, 2, 3])


@pytest.mark.parametrize(
  ('offset', 'size', 'stride'),
  [
    (0, (5,), (1,)),
    (3, (2,), (1,)),
    (0, (2,), (4,)),
    (-1, (2,), (1,)),
    (0, (-2,), (1,)),
    (0, (2,), (-1,)),
    (0, (1 << 40,), (0,)),  # one number, a terabyte when copied
    (0, (1,) * 9, (1,) * 9),
  ],
)
def test_a_tensor_beyond_its_numbers_is_refused(tmp_path, offset, size, stride):
  path = _archive(tmp_path / 'f.pt', _tensor(offset, size, stride), **{'0': bytes(16)})
  with pytest.raises(InputError, match='a tensor of'):
    torch_files.read(path)


def test_hostile_archives_are_one_line(tmp_path):
  bomb = tmp_path / 'bomb.pt'
  with zipfile.ZipFile(bomb, 'w', zipfile.ZIP_DEFLATED) as file:
    file.writestr('f/data.pkl', bytes(50_000_000))
  # LONG_BINPUT: the interpreter in C would make a table of 2^32 places for this one number.
  table = _archive(tmp_path / 'table.pt', b'\x80\x02Kar\xff\xff\xff\xff.')
  huge = _archive(tmp_path / 'huge.pt', b'\x80\x04\x8e' + (1 << 60).to_bytes(8, 'little') + b'x.')
  escape = _archive(tmp_path / 'e.pt', _tensor(0, (1,), (1,), key='../../secret'))
  plain = tmp_path / 'plain.pt'
  plain.write_bytes(pickle.dumps({'a': 1}))
  (tmp_path / 'no').mkdir()
  assert torch_files.read(table) == ord('a')
  for path in (bomb, huge, escape, plain, tmp_path / 'no', tmp_path / 'missing.pt'):
    with pytest.raises(InputError) as caught:
      torch_files.read(path)
    assert '\n' not in str(caught.value)
