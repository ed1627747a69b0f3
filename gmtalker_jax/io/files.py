"""Documents, and files and folders that appear whole or not at all."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gmtalker_jax.core.errors import InputError


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Generator[Path, None, None]:
  """Yields a temporary file beside `path`, moved over it when the block ends without an error.

  After an error nothing is left: an older file at `path` stays as it was.

  Raises:
    InputError: the place cannot be written; if that shows at once, before the block.
  """
  path = Path(path)
  part = path.with_name(f'.{path.name}.{os.getpid()}.part')
  with _writing(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    part.touch()
    try:
      yield part
      os.replace(part, path)
    finally:
      part.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: str | os.PathLike) -> Generator[Path, None, None]:
  """As `replacing`, for a folder: yields an empty one beside `path`."""
  path = Path(path)
  with _writing(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f'.{path.name}-', dir=path.parent))
    try:
      work.chmod(0o755)  # mkdtemp makes it private
      yield work
      replace_folder(work, path)
    finally:
      shutil.rmtree(work, ignore_errors=True)


def replace_folder(whole: Path, path: Path) -> None:
  """Moves the folder `whole` to `path` on the same disk; what was at `path` is removed."""
  if not os.path.lexists(path):
    whole.rename(path)
    return
  old = Path(tempfile.mkdtemp(prefix=f'.{path.name}-old-', dir=path.parent))
  path.rename(old / path.name)
  whole.rename(path)
  shutil.rmtree(old)


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
  """Replaces a file. It is on the disk before it gets its name, so that a name stands for it."""
  with replacing(path) as part, part.open('wb') as file:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def write_text(path: str | os.PathLike, text: str) -> None:
  """Replaces a text file (UTF-8)."""
  write_bytes(path, text.encode())


def write_json(path: str | os.PathLike, value: Mapping[str, Any]) -> None:
  """Replaces a JSON file; arrays in `value` become lists."""
  text = json.dumps(value, indent=1, ensure_ascii=False, default=lambda array: array.tolist())
  write_text(path, text + '\n')


def write_arrays(path: str | os.PathLike, arrays: Mapping[str, Any]) -> None:
  """Replaces an npz file, compressed."""
  with replacing(path) as part, part.open('wb') as file:
    np.savez_compressed(file, **arrays)


def read_json(path: str | os.PathLike) -> Any:
  """Reads a JSON file.

  Raises:
    InputError: it is missing, cannot be read, or is no JSON.
  """
  try:
    return json.loads(Path(path).read_text(encoding='utf-8'))
  except (OSError, ValueError) as error:
    reason = str(error).splitlines()[0]
    raise InputError(f'cannot read {str(path)!r} ({reason}); make it again') from error


def check_place(path: str | os.PathLike) -> None:
  """Raises InputError unless a file can be made at `path`: to be asked before long work."""
  path = Path(path)
  if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
    raise InputError(
      f'cannot write {str(path)!r}, expected a file in a folder that is there and writable; '
      'choose another place'
    )


@contextlib.contextmanager
def _writing(path: Path) -> Generator[None, None, None]:
  try:
    yield
  except OSError as error:
    reason = error.strerror or str(error) or type(error).__name__
    raise InputError(
      f'cannot write {str(path)!r}: {reason}; free this place or choose another'
    ) from error
