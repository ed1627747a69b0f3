"""Weights out of files that PyTorch wrote, without PyTorch and without running anything.

Such a file is a zip: `NAME/data.pkl`, a pickle that describes tensors, and `NAME/data/KEY`, their
numbers. The pickle is read by an interpreter that knows how to make dictionaries, lists and
tensors; any other name in it is refused, so nothing of the file is ever called.
"""

import collections
import math
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import pickles

MOST_BYTES = 8 << 30  # of a file; training checkpoints hold optimisers too
_MOST_PICKLE = 64 << 20  # bytes of data.pkl
_MOST_ENTRIES = 200_000
_DTYPES = {
  'FloatStorage': np.float32,
  'DoubleStorage': np.float64,
  'HalfStorage': np.float16,
  'BFloat16Storage': ml_dtypes.bfloat16,
  'LongStorage': np.int64,
  'IntStorage': np.int32,
  'ShortStorage': np.int16,
  'CharStorage': np.int8,
  'ByteStorage': np.uint8,
  'BoolStorage': np.bool_,
}


def read(path: str | os.PathLike) -> Any:
  """Nested dictionaries and lists as the file has them, with NumPy arrays for tensors.

  Memory is bounded by the size of the file.

  Raises:
    InputError: no such file, one of another kind or damaged, or one with more than numbers in it.
  """
  path = Path(path)
  try:
    if path.stat().st_size > MOST_BYTES:
      raise InputError(f'got {str(path)!r} of {path.stat().st_size} bytes, expected < {MOST_BYTES}')
    with zipfile.ZipFile(path) as archive:
      return _read(archive, path)
  except InputError:
    raise
  except Exception as error:  # a damaged pickle raises anything
    reason = f'{type(error).__name__}: {error}'.splitlines()[0][:120]
    raise InputError(
      f'cannot read {str(path)!r} ({reason}), expected weights that torch.save (1.6 or later) wrote'
    ) from None


def _read(archive: zipfile.ZipFile, path: Path) -> Any:
  entries = archive.infolist()
  total = sum(entry.file_size for entry in entries)
  packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
  if packed or len(entries) > _MOST_ENTRIES or total > path.stat().st_size:
    raise InputError(
      f'got {str(path)!r} with packed contents, expected plain ones as torch.save writes them'
    )
  names = {entry.filename: entry for entry in entries}
  pickles = [name for name in names if name.endswith('data.pkl')]
  if len(pickles) != 1 or names[pickles[0]].file_size > _MOST_PICKLE:
    raise InputError(f'got {str(path)!r} without one data.pkl, expected what torch.save writes')
  root = pickles[0].removesuffix('data.pkl')
  if f'{root}byteorder' in names and archive.read(f'{root}byteorder') != b'little':
    raise InputError(f'got {str(path)!r} of a big-endian machine, expected a little-endian one')

  @_cached
  def numbers(key: str, dtype: Any) -> np.ndarray:
    return np.frombuffer(archive.read(f'{root}data/{key}'), dtype)

  return _Tensors(archive.read(pickles[0]), numbers).load()


class _Storage(NamedTuple):
  numbers: np.ndarray


class _Kind(NamedTuple):
  dtype: Any


class _Tensors(pickles.Unpickler):
  """Unpickles dictionaries, lists and tensors, and nothing else."""

  def __init__(self, data: bytes, numbers: Any):
    super().__init__(data, _KNOWN, encoding='utf-8')
    self._numbers = numbers

  def find_class(self, module: str, name: str) -> Any:
    """The few names that weights are made of."""
    if module in ('torch', 'torch.storage') and name in _DTYPES:
      return _Kind(_DTYPES[name])
    if f'{module}.{name}' not in _KNOWN:
      raise InputError(
        f'got a file that names {module[:40]}.{name[:40]}, expected weights alone; it was not run'
      )
    return super().find_class(module, name)

  def persistent_load(self, pid: Any) -> _Storage:
    """The numbers that a tensor looks at."""
    kind, storage, key, _, count = pid
    if kind != 'storage' or not isinstance(storage, _Kind) or not str(key).isalnum():
      raise ValueError('an unknown storage')
    found = self._numbers(str(key), storage.dtype)
    if len(found) != count:
      raise ValueError(f'{len(found)} numbers in data/{key}, not {count}')
    return _Storage(found)


def _tensor(storage: Any, offset: int, size: Any, stride: Any, *_: Any) -> np.ndarray:
  numbers, size, stride = storage.numbers, tuple(map(int, size)), tuple(map(int, stride))
  least = min((*size, *stride, offset), default=0)
  if len(size) != len(stride) or len(size) > 8 or least < 0 or math.prod(size) > len(numbers):
    raise ValueError(f'a tensor of {size}')
  last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
  if math.prod(size) and last >= len(numbers):
    raise ValueError(f'a tensor of {size} beyond its numbers')
  step = numbers.itemsize
  return np.lib.stride_tricks.as_strided(
    numbers[offset:], size, [step * s for s in stride], writeable=False
  )


_KNOWN: dict[str, Callable] = {
  'collections.OrderedDict': collections.OrderedDict,
  'torch._utils._rebuild_tensor_v2': _tensor,
  'torch._utils._rebuild_parameter': lambda data, *_: data,
  'torch.Size': lambda size=(): list(size),
}


def _cached(read):
  kept: dict[tuple[str, Any], np.ndarray] = {}

  def once(key: str, dtype: Any) -> np.ndarray:
    if (key, dtype) not in kept:
      kept[key, dtype] = read(key, dtype)
    return kept[key, dtype]

  return once
