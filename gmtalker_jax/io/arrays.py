"""Arrays out of .npz files of others: never objects, and no more memory than was expected."""

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gmtalker_jax.core.errors import InputError


def read(
  path: str | os.PathLike, most_bytes: int, names: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
  """Every array of an .npz file, or those of some names alone.

  Args:
    path: the file.
    most_bytes: of all that is read together, unpacked.
    names: of the arrays that are read; None = all. Others are not unpacked.

  Raises:
    InputError: no such file, damaged, with objects in it, larger than expected, or without one of
      `names`.
  """
  path = Path(path)
  try:
    with zipfile.ZipFile(path) as archive:
      sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
      entries = sizes if names is None else [f'{name}.npy' for name in names]
      missing = sorted(set(entries) - set(sizes))
      if missing:
        raise InputError(f'got {str(path)!r} without {missing[0]!r}, expected it beside the others')
      size = sum(sizes[entry] for entry in entries)
      if size > most_bytes:
        raise InputError(f'got {str(path)!r} of {size} bytes unpacked, expected <= {most_bytes}')
    with np.load(path, allow_pickle=False) as file:
      return {name: _array(file[name]) for name in names or file}
  except InputError:
    raise
  except Exception as error:  # a damaged file raises anything
    reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
    raise InputError(f'cannot read {str(path)!r} ({reason}), expected arrays in an .npz') from None


def has(path: str | os.PathLike, name: str) -> bool:
  """Whether a file is an .npz with an array of this name; reads its table of contents alone."""
  try:
    with zipfile.ZipFile(path) as archive:
      return f'{name}.npy' in archive.namelist()
  except Exception:  # whatever it is, it is not one
    return False


def _array(value: object) -> np.ndarray:
  if not isinstance(value, np.ndarray):  # an entry that is no .npy is bytes
    raise ValueError('an entry is no array')
  return value
