"""The digest of each array of a checkpoint, written inside it before it gets its name.

Orbax makes a save atomic, but it does not notice a flipped bit. So a save has one item more: what
each array was when it was in memory, and each document. It is made by a thread of the save, not by
the loop's, and a step without it never gets a name. Arrays are read back one by one with
tensorstore, so what is damaged has a name too.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import tensorstore as ts
from orbax.checkpoint import future

from gmtalker_jax.core import trees
from gmtalker_jax.core.errors import InputError

ITEM = 'digests'  # the folder beside the others; one file of each process
_SUMS, _ROW = 'sums:', 4_096  # bytes
_BLOCK = 256  # rows: a megabyte, which stays in the cache while it is added up twice


class Digests(ocp.AsyncCheckpointHandler):
  """Writes the digests of the other items of a save."""

  async def async_save(self, directory: Any, args: 'Save') -> list[future.Future]:
    """Holds on to the arrays, which costs no more than their way to the host; hashes later."""
    held = {
      item: {name: list(_shards(leaf)) for name, leaf in trees.leaves(tree).items()}
      for item, tree in args.arrays.items()
    }
    arrays = {
      item: {name: (leaf.shape, str(leaf.dtype)) for name, leaf in trees.leaves(tree).items()}
      for item, tree in args.arrays.items()
    }

    async def write() -> None:
      found: dict[str, Any] = {'documents': {n: _of_json(v) for n, v in args.documents.items()}}
      for item, leaves in held.items():
        found[item] = {
          name: {
            'shape': arrays[item][name][0],
            'dtype': arrays[item][name][1],
            'shards': [[place, _of_array(name, part)] for place, part in parts],
          }
          for name, parts in leaves.items()
        }
      (directory / f'{jax.process_index()}.json').write_text(json.dumps(found))

    return [future.CommitFutureAwaitingContractedSignals(write(), name='digests')]

  def save(self, directory: Any, args: 'Save') -> None:
    """Saving is asynchronous here."""
    raise NotImplementedError

  def restore(self, directory: Any, args: Any = None) -> Any:
    """Reading is `problems`."""
    raise NotImplementedError


@ocp.args.register_with_handler(Digests, for_save=True, for_restore=True)
class Save(ocp.args.CheckpointArgs):
  """What the digests are of: {item: tree of arrays}, {name: document}."""

  def __init__(self, arrays: Mapping[str, Any], documents: Mapping[str, Any]):
    self.arrays, self.documents = arrays, documents


def read(path: Path) -> dict[str, Any]:
  """The digests of a step, of all processes; empty for a step of before there were any.

  {'documents': {name: digest}, ITEM: {array: {'shape', 'dtype', 'shards': [[place, digest]]}}}
  """
  whole: dict[str, Any] = {}
  for file in sorted((path / ITEM).glob('*.json')):
    for item, entries in json.loads(file.read_text()).items():
      for name, entry in entries.items():
        known = whole.setdefault(item, {}).setdefault(name, entry)
        if known is not entry and item != 'documents':
          known['shards'] += entry['shards']
  return whole


def shapes(path: Path, item: str) -> dict[str, jax.ShapeDtypeStruct]:
  """Name, shape and dtype of each array of an item, as it was saved."""
  return {
    name: jax.ShapeDtypeStruct(tuple(entry['shape']), jnp.dtype(entry['dtype']))
    for name, entry in read(path)[item].items()
  }


def problems(path: Path, items: Sequence[str] = ()) -> Iterator[str]:
  """What of a step is not what was saved, in words that name it; nothing where all is well.

  Args:
    path: the folder of the step.
    items: look at these items only, arrays and documents; all by default.
  """
  for item, entries in read(path).items():
    for name, entry in entries.items():
      if items and (name if item == 'documents' else item) not in items:
        continue
      try:
        if item == 'documents':
          same = _of_json(json.loads((path / name / 'metadata').read_text())) == entry
        else:
          same = _same(read_array(path / item, name), entry)
      except Exception as error:  # tensorstore raises ValueError for whatever is damaged
        yield f'{item}/{name} cannot be read ({type(error).__name__})'
        continue
      if not same:
        yield f'{item}/{name} is not what was saved'


def read_array(folder: Path, name: str) -> np.ndarray:
  """One array of an item, by its dotted name. Raises ValueError where it is damaged."""
  place = {'driver': 'ocdbt', 'base': f'file://{folder.absolute()}/', 'path': f'{name}/'}
  store = ts.open({'driver': 'zarr', 'kvstore': place}, open=True, read=True).result()
  return store.read().result()


def _same(array: np.ndarray, entry: Mapping[str, Any]) -> bool:
  if list(array.shape) != entry['shape'] or str(array.dtype) != entry['dtype']:
    return False
  return all(
    _digest(array[tuple(slice(*bounds) for bounds in place)], digest) == digest
    for place, digest in entry['shards']
  )


def _shards(leaf: Any) -> Iterator[tuple[list[list[int]], np.ndarray]]:
  """(place, values) of the parts of an array that this process answers for.

  The values are views where they can be: JAX does not reuse a buffer that somebody looks at.
  """
  for shard in leaf.addressable_shards:
    if shard.replica_id == 0:
      place = [list(s.indices(n)[:2]) for s, n in zip(shard.index, leaf.shape, strict=True)]
      yield place, np.asarray(shard.data)


def _of_array(name: str, values: np.ndarray) -> str:
  if not _finite(values):
    raise InputError(f'got {name} that is not finite, expected numbers that can be served')
  return _digest(values)


def _digest(values: np.ndarray, like: str = _SUMS) -> str:
  """SHA-256 of the sums of rows and of columns, as the bytes lie in rows of 512 words.

  Any flipped bit changes one of each. SHA-256 of all bytes (which `like` is, before version 0.3)
  was an eighth of the work of a save.
  """
  flat = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
  if not like.startswith(_SUMS):
    return hashlib.sha256(flat.data).hexdigest()
  whole = flat.size // _ROW * _ROW
  words = flat[:whole].view(np.uint64).reshape(-1, _ROW // 8)
  down, across = np.zeros(_ROW // 8, np.uint64), np.empty(len(words), np.uint64)
  for row in range(0, len(words), _BLOCK):
    block = words[row : row + _BLOCK]
    down += block.sum(0)
    across[row : row + _BLOCK] = block.sum(1)
  found = hashlib.sha256(flat[whole:].data)
  found.update(down.data)
  found.update(across.data)
  return f'{_SUMS}{found.hexdigest()}'


def _finite(values: np.ndarray) -> bool:
  if not jnp.issubdtype(values.dtype, jnp.inexact):
    return True
  if values.dtype in (np.float32, np.float64):
    flat = values.reshape(-1)
    # A third of the time. Squares of large numbers overflow: those arrays are looked at again.
    with np.errstate(over='ignore', invalid='ignore'):
      if np.isfinite(np.dot(flat, flat)):
        return True
  return bool(np.isfinite(values).all())


def _of_json(value: Any) -> str:
  return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
