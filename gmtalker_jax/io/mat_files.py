"""Arrays of numbers out of MATLAB files (version 5, as scipy and MATLAB write them by default).

A file is a header of 128 bytes and a list of elements: a type, a length, the data, padded to eight
bytes. An array is an element of elements (flags, sizes, name, numbers), and may be packed by zlib.
Cells, structs, objects, text and complex numbers are left alone; nothing is ever run.
"""

import math
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gmtalker_jax.core.errors import InputError

MOST_BYTES = 1 << 30  # of all arrays, unpacked; a BFM has 250 million
_TYPES = {
  1: 'i1',
  2: 'u1',
  3: 'i2',
  4: 'u2',
  5: 'i4',
  6: 'u4',
  7: 'f4',
  9: 'f8',
  12: 'i8',
  13: 'u8',
}
_MATRIX, _PACKED = 14, 15
# Class of an array -> the type that its numbers get: files store small whole numbers as bytes.
_CLASSES = {
  6: 'f8',
  7: 'f4',
  8: 'i1',
  9: 'u1',
  10: 'i2',
  11: 'u2',
  12: 'i4',
  13: 'u4',
  14: 'i8',
  15: 'u8',
}
_COMPLEX = 0x08


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
  """Every real array of a file, by its name.

  Raises:
    InputError: no such file, of another kind, damaged, or larger than MOST_BYTES unpacked.
  """
  path = Path(path)
  try:
    if path.stat().st_size > MOST_BYTES:
      raise InputError(f'got {str(path)!r} of {path.stat().st_size} bytes, expected < {MOST_BYTES}')
    return _arrays(path.read_bytes())
  except InputError:
    raise
  except (OSError, ValueError, struct.error, zlib.error) as error:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
    raise InputError(
      f'cannot read {str(path)!r} ({reason}), expected arrays in a MATLAB file of version 5'
    ) from None


def _arrays(data: bytes) -> dict[str, np.ndarray]:
  if len(data) < 128 or data[124:126] not in (b'\x00\x01', b'\x01\x00'):
    raise ValueError('another kind of file')
  order = '<' if data[126:128] == b'IM' else '>'
  found, room = {}, MOST_BYTES
  for kind, element in _elements(memoryview(data)[128:], order):
    if kind == _PACKED:
      unpacked = _unpack(element, room)
      room -= len(unpacked)
      inner = list(_elements(memoryview(unpacked), order))
    else:
      inner = [(kind, element)]
    for kind, element in inner:
      if kind == _MATRIX and (named := _array(element, order)):
        found[named[0]] = named[1]
  return found


def _unpack(data: memoryview, room: int) -> bytes:
  """Unpacks in steps, so that what unfolds to more than `room` bytes is not held."""
  machine, parts = zlib.decompressobj(), []
  left = bytes(data)
  while left and not machine.eof:
    parts.append(machine.decompress(left, min(room + 1, 1 << 20)))
    left = machine.unconsumed_tail
    room -= len(parts[-1])
    if room < 0:
      raise ValueError(f'more than {MOST_BYTES} bytes unpacked')
    if not parts[-1]:
      break
  if not machine.eof:
    raise ValueError('a packed element ends too early')
  return b''.join(parts)


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
  at = 0
  while at + 8 <= len(data):
    kind, length = struct.unpack_from(f'{order}II', data, at)
    if kind >> 16:  # a small element: the length stands beside the type, the data behind both
      yield kind & 0xFFFF, data[at + 4 : at + 4 + min(kind >> 16, 4)]
      at += 8
      continue
    if at + 8 + length > len(data):
      raise ValueError('an element ends beyond the file')
    yield kind, data[at + 8 : at + 8 + length]
    at += 8 + length + (0 if kind == _PACKED else -length % 8)


def _array(data: memoryview, order: str) -> tuple[str, np.ndarray] | None:
  parts = list(_elements(data, order))
  if len(parts) < 4 or len(parts[0][1]) < 8:
    return None
  (flags,) = struct.unpack_from(f'{order}I', parts[0][1])
  wanted = _CLASSES.get(flags & 0xFF)
  if wanted is None or (flags >> 8) & _COMPLEX or parts[3][0] not in _TYPES:
    return None
  sizes = np.frombuffer(parts[1][1], f'{order}i4').tolist()
  numbers = np.frombuffer(parts[3][1], f'{order}{_TYPES[parts[3][0]]}')
  if len(sizes) > 8 or min(sizes, default=0) < 0 or math.prod(sizes) != len(numbers):
    raise ValueError(f'{len(numbers)} numbers in an array of {sizes[:8]}')
  name = bytes(parts[2][1]).decode('ascii', 'replace')
  return name, numbers.astype(wanted).reshape(sizes, order='F')
