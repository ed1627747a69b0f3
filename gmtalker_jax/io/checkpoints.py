"""Checkpoints that are either whole or refused.

Orbax makes a save atomic and moves arrays between device counts, but it does not notice a flipped
bit. So each finished step is *sealed*: the digest of every file goes into `seal.json`, and a
restore compares. A step that fails is set aside with a logged reason and the next older one is
used.
"""

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import files

SEAL = 'seal.json'
_logger = logging.getLogger(__name__)


class Restored(NamedTuple):
  """One step of a run."""

  step: int
  state: Any
  documents: dict[str, Any]


class Checkpoints:
  """Saves and restores the steps of one run. Use as a context manager.

  A step holds `state` (everything that training knows), `inference` (the weights that are served)
  and JSON documents (data position, statistics, config).
  """

  def __init__(self, directory: str | Path, keep: int = 2):
    self._directory = Path(directory).absolute()
    self._directory.mkdir(parents=True, exist_ok=True)
    self._keep = keep
    self._manager: ocp.CheckpointManager | None = None
    self._unsealed: int | None = None

  def __enter__(self) -> 'Checkpoints':
    return self

  def __exit__(self, *error) -> None:
    self.close()

  def restore(self, like: Any, documents: tuple[str, ...]) -> Restored | None:
    """The newest whole step, or None where nothing was ever saved.

    Args:
      like: the state as `jax.ShapeDtypeStruct`s with shardings; arrays are restored onto those.
      documents: names of the JSON documents to read.

    Raises:
      InputError: there are steps, and all of them are damaged.
    """
    found = steps(self._directory)
    for step in found:
      try:
        verify(self._directory / str(step))
        restored = self._read(step, like, documents)
      except Exception as error:  # orbax raises many types for one damaged file
        _logger.warning('checkpoint %d is not used: %s', step, _one_line(error))
        last = error
        continue
      self._set_aside(found[: found.index(step)])
      return restored
    if found:
      raise InputError(
        f'got no usable checkpoint in {self._directory} (steps {found}; the oldest: '
        f'{_one_line(last)}), expected at least one; remove the directory to start at step 0'
      )
    return None

  def save(self, step: int, state: Any, inference: Any, documents: Mapping[str, Any]) -> None:
    """Starts saving a step; arrays are copied before this returns, the disk is written later."""
    self.seal()
    items: dict[str, Any] = {name: ocp.args.JsonSave(value) for name, value in documents.items()}
    items |= {'state': ocp.args.PyTreeSave(state), 'inference': ocp.args.PyTreeSave(inference)}
    self._open().save(step, args=ocp.args.Composite(**items), force=True)
    self._unsealed = step

  def poll(self) -> None:
    """Seals a step whose saving has ended; cheap, for every turn of a loop."""
    if self._unsealed is not None and not self._open().is_saving_in_progress():
      self.seal()

  def seal(self) -> None:
    """Waits for the step that is being saved and seals it. Raises if its saving failed."""
    if self._unsealed is None:
      return
    step, self._unsealed = self._unsealed, None
    self._open().wait_until_finished()
    path = self._directory / str(step)
    if not path.is_dir():
      raise OSError(f'step {step} was not written to {self._directory}')
    if jax.process_index() == 0:
      seal(path)

  def close(self) -> None:
    """Seals what is open."""
    self.seal()
    if self._manager is not None:
      self._manager.close()
      self._manager = None

  def _open(self) -> ocp.CheckpointManager:
    if self._manager is None:
      options = ocp.CheckpointManagerOptions(
        max_to_keep=self._keep, cleanup_tmp_directories=True, enable_async_checkpointing=True
      )
      self._manager = ocp.CheckpointManager(self._directory, options=options)
    return self._manager

  def _read(self, step: int, like: Any, documents: tuple[str, ...]) -> Restored:
    path = self._directory / str(step)
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
      state = reader.restore(
        path / 'state',
        args=ocp.args.PyTreeRestore(like, ocp.checkpoint_utils.construct_restore_args(like)),
      )
    return Restored(step, state, {name: read_document(path, name) for name in documents})

  def _set_aside(self, damaged: list[int]) -> None:
    """Moves damaged steps away, so that their numbers can be saved again."""
    if jax.process_index() != 0:
      return
    for step in damaged:
      target = self._directory.parent / 'damaged' / f'{step}-{time.time_ns()}'
      target.parent.mkdir(exist_ok=True)
      (self._directory / str(step)).rename(target)
      _logger.warning('checkpoint %d was moved to %s', step, target)


def steps(directory: str | Path) -> list[int]:
  """The finished steps in a directory, newest first. Interrupted saves are not among them."""
  directory = Path(directory)
  if not directory.is_dir():
    return []
  return sorted((int(p.name) for p in directory.iterdir() if p.name.isdigit()), reverse=True)


def seal(path: Path) -> None:
  """Writes the digests of all files of a finished step."""
  files.write_json(path / SEAL, {str(p.relative_to(path)): _digest(p) for p in _files(path)})


def verify(path: Path, items: tuple[str, ...] = ()) -> None:
  """Raises InputError if a file of a step (or of these items of it) is not what was sealed.

  A step without a seal was finished but its process ended before it could be sealed: it is used,
  with a warning.
  """
  if not (path / SEAL).is_file():
    if not any(_files(path)):
      raise InputError(f'got an empty directory {path}, expected a checkpoint')
    _logger.warning('checkpoint %s was never sealed: it is used unverified', path)
    return
  sealed = json.loads((path / SEAL).read_text())
  for name, digest in sealed.items():
    if items and Path(name).parts[0] not in items:
      continue
    if not (path / name).is_file():
      raise InputError(f'got no file {name} in {path}, expected it as sealed')
    if _digest(path / name) != digest:
      raise InputError(f'got a damaged {name} in {path}: its digest is not the sealed one')


def read_document(path: Path, name: str) -> Any:
  """A JSON document of a step."""
  with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as reader:
    return reader.restore(path / name, args=ocp.args.JsonRestore())


def read_arrays(path: Path, name: str) -> Any:
  """A tree of a step as nested dictionaries of NumPy arrays, on any number of devices."""
  handler = ocp.PyTreeCheckpointHandler()
  tree = handler.metadata(epath.Path(path / name)).tree
  with ocp.Checkpointer(handler) as reader:
    arrays = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
    return reader.restore(path / name, args=ocp.args.PyTreeRestore(restore_args=arrays))


def _files(path: Path) -> Iterator[Path]:
  return (p for p in sorted(path.rglob('*')) if p.is_file() and not p.name.endswith(SEAL))


def _digest(path: Path) -> str:
  with path.open('rb') as f:
    return hashlib.file_digest(f, 'sha256').hexdigest()


def _one_line(error: Exception) -> str:
  return f'{type(error).__name__}: {error}'.splitlines()[0][:300]
