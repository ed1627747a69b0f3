"""Pickles of nothing but numbers, read without running anything.

Python's own machine calls whatever a pickle names. This one makes dictionaries, lists and NumPy
arrays; any other name ends the reading. Memory is bounded by the size of the file.
"""

import io
import math
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

MOST_BYTES = 1 << 30  # of a file; FaceVerse v3 has a few hundred million
_DEEPEST = 32  # lists in lists


# The interpreter in C keeps what a pickle numbers in a table as long as the largest number; ten
# bytes can make it ask for 64 GB. The one in Python keeps a dictionary.
class Unpickler(pickle._Unpickler):  # noqa: SLF001
  """Knows the names that it is given; what a pickle adds to a thing goes to arrays alone."""

  def __init__(self, data: bytes, known: dict[str, Callable], encoding: str = 'latin1'):
    super().__init__(io.BytesIO(data), encoding=encoding)
    self._known = known

  def find_class(self, module: str, name: str) -> Any:
    """One of the known names."""
    if f'{module}.{name}' not in self._known:
      raise pickle.UnpicklingError(f'it names {module[:40]}.{name[:40]}, which was not run')
    return self._known[f'{module}.{name}']

  def _fill(self: Any) -> None:
    state, filled = self.stack.pop(), self.stack[-1]
    if isinstance(filled, _Array | _Type):
      filled.fill(state)
    elif not isinstance(filled, dict):  # torch adds remarks to dictionaries of weights
      raise pickle.UnpicklingError('it changes what is no array')

  dispatch: ClassVar[dict] = {**pickle._Unpickler.dispatch, pickle.BUILD[0]: _fill}  # noqa: SLF001


def load(data: bytes) -> Any:
  """Nested dictionaries and lists of NumPy arrays, numbers and words.

  Raises anything at all for what is damaged or names more.
  """
  return _plain(Unpickler(data, _NUMPY).load(), {}, 0)


def read_npy(path: str | os.PathLike) -> Any:
  """What `numpy.save` pickled into an .npy file: a dictionary, in most cases.

  Raises anything at all for what is damaged, larger than MOST_BYTES, or names more than arrays.
  """
  path = Path(path)
  if path.stat().st_size > MOST_BYTES:
    raise ValueError(f'{path.stat().st_size} bytes, expected < {MOST_BYTES}')
  data = path.read_bytes()
  width = 2 if data[6:7] == b'\x01' else 4  # of the header's length, by the version of the form
  start = 8 + width + int.from_bytes(data[8 : 8 + width], 'little')
  if data[:6] != b'\x93NUMPY' or b"'|O'" not in data[8 + width : start]:
    raise ValueError('no pickled dictionary')
  found = load(data[start:])
  return found[0] if isinstance(found, list) and len(found) == 1 else found


class _Type:
  """The type of an array, as a pickle puts it together."""

  def __init__(self, code: Any, *_: Any):
    if not re.fullmatch(r'[biufSU]\d{1,4}|O8?', str(code)):
      raise ValueError(f'numbers of type {str(code)[:20]!r}')
    self._code, self._order = str(code), '='

  def fill(self, state: Any) -> None:
    """The byte order; types with names for their parts are not known."""
    if state[1] not in ('<', '>', '|', '=') or any(part is not None for part in state[2:5]):
      raise ValueError('an unknown type')
    self._order = state[1]

  @property
  def numpy(self) -> np.dtype:
    return np.dtype(self._order + self._code)


class _Array:
  """An array, which gets its numbers after it was made."""

  def __init__(self, *_: Any):
    self.value: Any = np.zeros(0)

  def fill(self, state: Any) -> None:
    """State: version, shape, type, whether columns come first, and numbers or a list of things."""
    _, shape, kind, columns_first, data = state
    shape, kind = tuple(map(int, shape)), kind.numpy
    if len(shape) > 8 or min(shape, default=0) < 0:
      raise ValueError(f'an array of {shape[:8]}')
    size = math.prod(shape)
    if kind.hasobject:
      if not isinstance(data, list) or len(data) != size:
        raise ValueError(f'other things than an array of {shape}')
      self.value = data
      return
    data = data.encode('latin1') if isinstance(data, str) else data  # Python 2 had no bytes
    if not kind.itemsize or len(data) != size * kind.itemsize:
      raise ValueError(f'{len(data)} bytes in an array of {shape}')
    self.value = np.frombuffer(data, kind).reshape(shape, order='F' if columns_first else 'C')


def _number(kind: Any, data: Any) -> Any:
  if kind.numpy.hasobject or len(data) != kind.numpy.itemsize:
    raise ValueError('an unknown number')
  return np.frombuffer(data, kind.numpy)[0]


def _bytes(text: str, *_: Any) -> bytes:
  return text.encode('latin1')  # as older pickles put bytes


_NUMPY: dict[str, Callable] = {
  'numpy.ndarray': _Array,
  'numpy.dtype': _Type,
  '_codecs.encode': _bytes,
  **{f'numpy.{core}.multiarray._reconstruct': _Array for core in ('core', '_core')},
  **{f'numpy.{core}.multiarray.scalar': _number for core in ('core', '_core')},
}


def _plain(value: Any, seen: dict[int, Any], depth: int) -> Any:
  """Replaces what stands for arrays by arrays. What is named twice is the same thing twice."""
  if depth > _DEEPEST:
    raise ValueError('lists in lists without an end')
  if isinstance(value, _Type):
    raise ValueError('a type where numbers are expected')
  if not isinstance(value, _Array | dict | list | tuple):
    return value
  if id(value) not in seen:
    inner = value.value if isinstance(value, _Array) else value
    if isinstance(inner, dict):
      made: Any = {key: _plain(v, seen, depth + 1) for key, v in inner.items()}
    elif isinstance(inner, list | tuple):
      made = [_plain(v, seen, depth + 1) for v in inner]
    else:
      made = inner
    seen[id(value)] = made
  return seen[id(value)]
