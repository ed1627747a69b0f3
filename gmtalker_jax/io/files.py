"""Documents, and files and folders that appear whole or not at all."""

import contextlib
import fcntl
import json
import os
import shutil
import threading
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gmtalker_jax.core.errors import InputError


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Generator[Path, None, None]:
  """Yields an empty file beside `path`, moved over it when the block ends without an error.

  After an error nothing is left: an older file at `path` stays as it was. What a killed process
  left, the next one that writes `path` uses up.

  Raises:
    InputError: the place cannot be written; if that shows at once, before the block.
  """
  path = Path(path)
  with _writing(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with _claimed(path, Path.touch) as part:
      try:
        os.truncate(part, 0)
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
    with _claimed(path, Path.mkdir) as work:
      try:
        _empty(work)
        yield work
        _replace_folder(work, path)
      finally:
        shutil.rmtree(work, ignore_errors=True)


@contextlib.contextmanager
def _claimed(path: Path, make: Callable[..., None]) -> Generator[Path, None, None]:
  """Makes a temporary neighbour of `path` and keeps it from others, or takes a left one over.

  Its name is the same each time, so that what a killed process left does not lie there for ever;
  where another process is at work under that name, it gets one of its own. The system takes the
  lock from a process however that ends.
  """
  part = path.with_name(f'.{path.name}.part')
  make(part, exist_ok=True)
  held = os.open(part, os.O_RDONLY)
  try:
    try:
      fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      part = path.with_name(f'.{path.name}.{os.getpid()}-{threading.get_ident()}.part')
      make(part)
    yield part
  finally:
    os.close(held)


def _empty(folder: Path) -> None:
  for entry in folder.iterdir():
    shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def _replace_folder(whole: Path, path: Path) -> None:
  """Moves the folder `whole` to `path` on the same disk; what was at `path` is removed."""
  old = path.with_name(f'.{path.name}.old')
  shutil.rmtree(old, ignore_errors=True)  # of one who was killed here
  if os.path.lexists(path):
    old.mkdir()
    path.rename(old / path.name)
  whole.rename(path)
  shutil.rmtree(old, ignore_errors=True)


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
