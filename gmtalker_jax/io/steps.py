"""The finished steps of a run on disk: which there are, whether they are what was saved, reading.

A step is a folder with arrays (`state`, `inference`), documents, and the digests of both.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from gmtalker_jax.core import trees
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import digests

SEAL = 'seal.json'  # digests of files, in steps of version 0.2


def find(directory: str | Path) -> list[int]:
  """The finished steps in a directory, newest first. Interrupted saves are not among them."""
  directory = Path(directory)
  if not directory.is_dir():
    return []
  return sorted((int(p.name) for p in directory.iterdir() if p.name.isdigit()), reverse=True)


def kept(found: Collection[int], keep: int, keep_every: int = 0) -> set[int]:
  """The steps that stay: the newest `keep`, and the multiples of `keep_every` (0 = none)."""
  newest = sorted(found)[-keep:]
  return {s for s in found if s in newest or (keep_every and s % keep_every == 0)}


def verify(path: Path, items: Sequence[str] = ()) -> None:
  """Raises InputError if an array or a document of a step is not what was saved.

  Args:
    path: the folder of the step.
    items: look at these only.
  """
  for problem in problems(path, items):
    raise InputError(f'got a damaged {path}: {problem}')


def problems(path: Path, items: Sequence[str] = ()) -> Iterator[str]:
  """Everything in a step that is not what was saved, in words; see `digests.problems`."""
  if (path / digests.ITEM).is_dir():
    yield from digests.problems(path, items)
  elif (path / SEAL).is_file():
    yield from _broken_seals(path, items)
  else:
    yield 'it has no digests: it was not saved to its end, or something was removed'


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


def read_state(path: Path, like: Any) -> Any:
  """The state of a step, onto the shardings of the `jax.ShapeDtypeStruct`s `like`."""
  with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
    return reader.restore(
      path / 'state',
      args=ocp.args.PyTreeRestore(like, ocp.checkpoint_utils.construct_restore_args(like)),
    )


def check_names(path: Path, like: Any) -> None:
  """Raises InputError, with names and shapes, if the model is not the one that was saved."""
  if (path / digests.ITEM).is_dir():
    saved = digests.shapes(path, 'state')
  else:
    saved = trees.leaves(ocp.PyTreeCheckpointHandler().metadata(epath.Path(path / 'state')).tree)
  problem = trees.mismatch(trees.leaves(like), saved)
  if problem:
    raise InputError(
      f'got another model than the one that was saved in {path} ({problem}): the code or the '
      'config changed; go back to that, or begin a new workdir with --config.init_from='
      f'{path.parents[1]}'
    )


def _broken_seals(path: Path, items: Sequence[str]) -> Iterator[str]:
  for name, digest in json.loads((path / SEAL).read_text()).items():
    if items and Path(name).parts[0] not in items:
      continue
    if not (path / name).is_file():
      yield f'{name} is gone'
    elif _digest(path / name) != digest:
      yield f'{name} is not what was saved'


def _digest(path: Path) -> str:
  with path.open('rb') as f:
    return hashlib.file_digest(f, 'sha256').hexdigest()
