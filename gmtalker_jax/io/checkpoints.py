"""Checkpoints that are either what was saved or refused.

A step holds arrays, documents and their digests (io/digests.py); the digests are part of it before
it gets its name. A restore compares: a step that is not what was saved is set aside with a logged
reason and the next older one is used. A step of another model is no damage and is said to be that.
"""

import contextlib
import errno
import functools
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from orbax.checkpoint import checkpoint_managers

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import digests, steps

_TEMPORARY = '*.orbax-checkpoint-tmp*'
_MARGIN = 1_000_000  # bytes of a step besides its arrays
_logger = logging.getLogger(__name__)


class Restored(NamedTuple):
  """One step of a run."""

  step: int
  state: Any
  documents: dict[str, Any]


class Saved(NamedTuple):
  """What saving a step took, in seconds."""

  step: int
  seconds: float  # from the call to the name
  blocked: float  # of the caller


class SaveFailed(RuntimeError):
  """A step could not be written. What is on the disk is whole, and older."""


class Checkpoints:
  """Saves and restores the steps of one run. Use as a context manager.

  A step holds `state` (everything that training knows), `inference` (the weights that are served)
  and JSON documents (data position, statistics, config).
  """

  def __init__(self, directory: str | Path, keep: int = 2, keep_every: int = 0):
    """Keeps the newest `keep` steps, and for ever the multiples of `keep_every` (0 = none)."""
    self._directory = Path(directory).absolute()
    with _one_line_errors(f'cannot write {self._directory}'):
      self._directory.mkdir(parents=True, exist_ok=True)
    _hush()
    self._keep, self._keep_every = keep, keep_every
    self._manager: ocp.CheckpointManager | None = None
    self._open_save: Saved | None = None
    self.failure: SaveFailed | None = None  # of the newest save, if it failed

  def __enter__(self) -> 'Checkpoints':
    return self

  def __exit__(self, *error) -> None:
    self.close()

  def restore(
    self,
    like: Any,
    documents: Sequence[str],
    accept: Callable[[int, Mapping[str, Any]], None] = lambda step, documents: None,
  ) -> Restored | None:
    """The newest step that is what was saved, or None where nothing was ever saved.

    Args:
      like: the state as `jax.ShapeDtypeStruct`s with shardings; arrays are restored onto those.
      documents: names of the JSON documents to read.
      accept: raises InputError for a step that must not be used (other data), before it is read.

    Raises:
      InputError: all steps are damaged, or the newest one is of another model.
    """
    found = _agreed(self._directory)
    for step in found:
      path = self._directory / str(step)
      try:
        steps.verify(path)
        read = {name: steps.read_document(path, name) for name in documents}
      except Exception as error:  # orbax raises many types for one damaged file
        _logger.warning('checkpoint %d is not used: %s', step, _one_line(error))
        last = error
        continue
      accept(step, read)
      steps.check_names(path, like)
      try:
        restored = Restored(step, steps.read_state(path, like), read)
      except Exception as error:
        _logger.warning('checkpoint %d is not used: %s', step, _one_line(error))
        last = error
        continue
      self._set_aside(found[: found.index(step)])
      return restored
    if found:
      raise InputError(
        f'got no usable checkpoint in {self._directory} (steps {found}; the oldest: '
        f'{_one_line(last)}), expected at least one; copy one back, or take a new workdir'
      )
    return None

  def save(self, step: int, state: Any, inference: Any, documents: Mapping[str, Any]) -> None:
    """Starts saving a step; arrays are copied before this returns, the disk is written later.

    It never raises because of the disk: see `failure` and `wait`.
    """
    self.poll(wait=True)
    begun = time.monotonic()
    arrays = {'state': state, 'inference': inference}
    items: dict[str, Any] = {name: ocp.args.JsonSave(value) for name, value in documents.items()}
    items |= {name: ocp.args.PyTreeSave(tree) for name, tree in arrays.items()}
    items[digests.ITEM] = digests.Save(arrays, documents)
    self.failure, self._open_save = None, Saved(step, begun, 0.0)
    try:
      self._check_room(arrays)
      self._open().save(step, args=ocp.args.Composite(**items), force=True)
    except Exception as error:
      self._failed(error)
    else:
      self._open_save = Saved(step, begun, time.monotonic() - begun)

  def poll(self, wait: bool = False) -> Saved | None:
    """What saving the step took whose saving has ended since the last call. Cheap unless it waits.

    A save that failed is logged, its rubbish is removed, and `failure` says why.
    """
    saving = self._open_save
    if saving is None or not (wait or not self._open().is_saving_in_progress()):
      return None
    try:
      self._open().wait_until_finished()
      if not (self._directory / str(saving.step)).is_dir():
        raise OSError(f'step {saving.step} has no name')
    except Exception as error:
      self._failed(error)
      return None
    self._open_save = None
    return saving._replace(seconds=time.monotonic() - saving.seconds)

  def wait(self) -> Saved | None:
    """As `poll`, when the save has ended. Raises SaveFailed if the newest step was not saved."""
    saved = self.poll(wait=True)
    if self.failure is not None:
      raise self.failure
    return saved

  def close(self) -> None:
    """Ends what is being saved."""
    self.poll(wait=True)
    self._close()

  def _close(self) -> None:
    manager, self._manager = self._manager, None
    with contextlib.suppress(Exception):  # its threads may have failed, which was said
      if manager is not None:
        manager.close()

  def _failed(self, error: Exception) -> None:
    assert self._open_save is not None, 'something is being saved'
    step, self._open_save = self._open_save.step, None
    self._close()
    self._sweep()
    newest = steps.find(self._directory)
    held = f'the newest is step {newest[0]}' if newest else 'there is none'
    self.failure = SaveFailed(
      f'step {step} was not saved in {self._directory} ({_reason(error)}); {held}; see to that, '
      'and run the same command again to go on'
    )
    _logger.warning('%s', self.failure)

  def _check_room(self, arrays: Any) -> None:
    """Raises OSError where the step cannot fit: once Orbax is in the middle, it fails noisily."""
    needed = sum(x.nbytes for x in jax.tree.leaves(arrays)) + _MARGIN
    if shutil.disk_usage(self._directory).free < needed:
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

  def _sweep(self) -> None:
    """Removes what a failed save left; its other threads may still be writing for a moment."""
    for _ in range(20 if jax.process_index() == 0 else 0):
      rubbish = list(self._directory.glob(_TEMPORARY))
      if not rubbish:
        return
      for folder in rubbish:
        shutil.rmtree(folder, ignore_errors=True)
      time.sleep(0.05)

  def _open(self) -> ocp.CheckpointManager:
    if self._manager is None:
      options = ocp.CheckpointManagerOptions(
        preservation_policy=_Kept(self._keep, self._keep_every),
        cleanup_tmp_directories=True,
        enable_async_checkpointing=True,
      )
      self._manager = ocp.CheckpointManager(self._directory, options=options)
    return self._manager

  def _set_aside(self, damaged: list[int]) -> None:
    """Moves damaged steps away, so that their numbers can be saved again."""
    if jax.process_index() != 0:
      return
    for step in damaged:
      target = self._directory.parent / 'damaged' / f'{step}-{time.time_ns()}'
      target.parent.mkdir(exist_ok=True)
      (self._directory / str(step)).rename(target)
      _logger.warning('checkpoint %d was moved to %s', step, target)


def _agreed(directory: Path) -> list[int]:
  """The steps to try, newest first. Of several processes the first decides on one for all."""
  found = steps.find(directory)
  if jax.process_count() == 1:
    return found
  chosen = next((step for step in found if _whole(directory / str(step))), None)
  mine = -2 if not found else -1 if chosen is None else chosen
  chosen = int(multihost_utils.broadcast_one_to_all(np.int32(mine)))
  if chosen == -1:
    raise InputError(
      f'got no usable checkpoint in {directory}, expected at least one; copy one back, or take a '
      'new workdir'
    )
  if chosen == -2:
    return []
  # The first one looks at the damaged ones again, to set them aside.
  return [s for s in found if s >= chosen] if jax.process_index() == 0 else [chosen]


def _whole(path: Path) -> bool:
  if jax.process_index() != 0:
    return False
  try:
    steps.verify(path)
  except Exception as error:
    _logger.warning('checkpoint %s is not used: %s', path.name, _one_line(error))
    return False
  return True


class _Kept(checkpoint_managers.PreservationPolicy):
  def __init__(self, keep: int, keep_every: int):
    self._numbers = keep, keep_every

  def should_preserve(self, checkpoints, *, context) -> list[bool]:
    del context
    stay = steps.kept([c.step for c in checkpoints], *self._numbers)
    return [c.step in stay for c in checkpoints]


@functools.cache
def _hush() -> None:
  """Once for the process: we say in one line what failed; a failed save has others in its wake.

  Orbax logs the traceback of what it also raises, tensorstore reports to an event loop that is
  closed by then (through `sys.excepthook`), and asyncio logs each task that nobody waits for.
  """
  logging.getLogger('absl').addFilter(lambda record: 'orbax' not in record.pathname)
  before = sys.excepthook

  def hook(kind, error, trace):
    if not (isinstance(error, RuntimeError) and str(error) == 'Event loop is closed'):
      before(kind, error, trace)

  sys.excepthook = hook
  logging.getLogger('asyncio').setLevel(logging.CRITICAL)


@contextlib.contextmanager
def _one_line_errors(what: str) -> Generator[None, None, None]:
  try:
    yield
  except OSError as error:
    raise InputError(f'{what}: {error.strerror or error}; choose another place') from error


def _reason(error: BaseException) -> str:
  """The last cause in one line: what the system said."""
  while error.__cause__ is not None:
    error = error.__cause__
  full = 'RESOURCE_EXHAUSTED' in str(error) or 'No space left' in str(error)
  return 'No space left on device' if full else _one_line(error)


def _one_line(error: BaseException) -> str:
  kind = '' if isinstance(error, InputError) else f'{type(error).__name__}: '
  return f'{kind}{error}'.splitlines()[0][:300]
