"""Arrays out of .npz files of others: never objects, and no more memory than was expected."""

import os
import zipfile
from pathlib import Path

import numpy as np

from gmtalker_jax.core.errors import InputError


def read(path: str | os.PathLike, most_bytes: int) -> dict[str, np.ndarray]:
  """Every array of an .npz file.

  Args:
    path: the file.
    most_bytes: of all arrays together, unpacked.

  Raises:
    InputError: no such file, damaged, with objects in it, or larger than expected.
  """
  path = Path(path)
  try:
    with zipfile.ZipFile(path) as archive:
      size = sum(entry.file_size for entry in archive.infolist())
      if size > most_bytes:
        raise InputError(f'got {str(path)!r} of {size} bytes unpacked, expected <= {most_bytes}')
    with np.load(path, allow_pickle=False) as file:
      return {name: _array(file[name]) for name in file}
  except InputError:
    raise
  except Exception as error:  # a damaged file raises anything
    reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
    raise InputError(f'cannot read {str(path)!r} ({reason}), expected arrays in an .npz') from None


def _array(value: object) -> np.ndarray:
  if not isinstance(value, np.ndarray):  # an entry that is no .npy is bytes
    raise ValueError('an entry is no array')
  return value
