"""Batch i is a pure function of (seed, i), so the position in the data is one integer."""

import collections
import logging
import sys
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import grain
import jax
import numpy as np

from gmtalker_jax.core.errors import InputError

_logger = logging.getLogger(__name__)

# example(item, rng) -> a struct of arrays without the batch axis
Example = Callable[[Any, np.random.Generator], Any]


class Items(Protocol):
  """Anything with len and [i]: a list, or a `Source` that reads when asked."""

  def __len__(self) -> int: ...

  def __getitem__(self, index: int, /) -> Any: ...


class Batches:
  """Endless training batches.

  The order of examples is global: examples i*B .. (i+1)*B make up batch i on any number of
  processes, and each process builds only its share.
  """

  def __init__(
    self,
    items: Items,
    example: Example,
    batch_size: int,
    seed: int,
    groups: Sequence[Any] | None = None,
    process: tuple[int, int] | None = None,
  ):
    """Args:

    items: anything with len and [i], such as a `Source`.
    example: makes an example of an item; it draws from its rng only.
    batch_size: examples of a batch over all processes.
    seed: other seeds give another order and other windows.
    groups: the group of each item; every group then gets the same share of the examples
      (method 2.5: balanced emotions). None: every item gets the same share.
    process: (index, count); by default those of JAX.
    """  # fmt: skip
    index, count = process or (jax.process_index(), jax.process_count())
    if not len(items):
      raise InputError('got no training examples, expected at least one')
    if batch_size % count:
      raise InputError(f'got batch_size {batch_size}, expected a multiple of {count} processes')
    order = _order(len(items), seed, groups)
    self._order, self._items, self._size = order, items, batch_size
    self._examples = order.random_map(lambda i, rng: example(items[i], rng), seed=seed)
    self._rows = _share(batch_size, index, count)

  def __getitem__(self, index: int) -> Any:
    return _stack([self._examples[index * self._size + row] for row in self._rows])

  def members(self, index: int) -> list[Any]:
    """What batch `index` is made of, over all processes: the records' ids, or numbers of items."""
    first = index * self._size
    numbers: list[Any] = [self._order[i] for i in range(first, first + self._size)]
    items = [self._items[n] for n in numbers]
    return [
      item['id'] if isinstance(item, Mapping) and 'id' in item else n
      for n, item in zip(numbers, items, strict=True)
    ]

  def iterate(self, start: int, ahead: int = 2) -> Generator[Any, None, None]:
    """Batches `start`, `start + 1`, ..., made by a thread while the device works."""
    with ThreadPoolExecutor(1, 'batches') as pool:
      queue = [pool.submit(self.__getitem__, start + k) for k in range(ahead)]
      try:
        while True:
          yield queue.pop(0).result()
          start += 1
          queue.append(pool.submit(self.__getitem__, start + ahead - 1))
      finally:
        for future in queue:
          future.cancel()


class Tolerant:
  """Items of which some cannot be read: the next one that can is taken, and they are counted."""

  def __init__(self, items: Items, example: Example, share: float):
    """At most `share` of the items may be bad."""
    self._items, self._make, self._share = items, example, share
    self._bad: dict[int, str] = {}
    self._lock = threading.Lock()

  def __len__(self) -> int:
    return len(self._items)

  def __getitem__(self, index: int) -> 'Place':
    return Place(self._items, index)

  def example(self, place: 'Place', rng: np.random.Generator) -> Any:
    """An example of the item, or of the next one that gives any.

    Raises InputError if more than the share of the items are bad.
    """
    for k in range(len(self._items)):
      index = (place.index + k) % len(self._items)
      try:
        return self._make(self._items[index], rng)
      except Exception as error:  # whatever a damaged record makes a library raise
        self._count(index, f'{type(error).__name__}: {error}'.splitlines()[0])
    raise AssertionError('the share of bad items is at most 1')

  def _count(self, index: int, reason: str) -> None:
    with self._lock:
      if index not in self._bad:
        self._bad[index] = reason
        _logger.warning('training item %d is left out: %s', index, reason)
      bad, first = len(self._bad), next(iter(self._bad.items()))
    if bad > self._share * len(self._items):
      raise InputError(
        f'got {bad} of {len(self._items)} training items that cannot be used (item {first[0]}: '
        f'{first[1]}), expected at most a share of {self._share:g} (config.faults.bad_share); '
        'prepare the records again'
      )


class Place(Mapping):
  """An item that is read when it is looked at."""

  def __init__(self, items: Items, index: int):
    self._items, self.index = items, index

  def __getitem__(self, name: str) -> Any:
    return self._items[self.index][name]

  def __iter__(self):
    return iter(self._items[self.index])

  def __len__(self) -> int:
    return len(self._items[self.index])


class InOrder:
  """Every item once, for evaluation; the last batch is filled up with masked repeats.

  Batches are built when they are read, the same ones each time; each process builds its share.
  """

  def __init__(
    self,
    items: Items,
    example: Example,
    batch_size: int,
    limit: int = 0,
    process: tuple[int, int] | None = None,
  ):
    """`limit` > 0 keeps so many batches, of items spread evenly; the rest is as in `Batches`."""
    self._items, self._example, self._size = items, example, batch_size
    index, count = process or (jax.process_index(), jax.process_count())
    self._rows = _share(batch_size, index, count)
    numbers = np.arange(len(items))
    if limit and len(items) > limit * batch_size:
      numbers = np.linspace(0, len(items), limit * batch_size, endpoint=False).astype(int)
    self._numbers = numbers

  def __len__(self) -> int:
    return -(-len(self._numbers) // self._size)

  def __getitem__(self, index: int) -> Any:
    if not 0 <= index < len(self):
      raise IndexError(index)  # ends a `for`
    numbers = self._numbers[index * self._size : (index + 1) * self._size]
    return _stack([self._row(numbers, row) for row in self._rows])

  def _row(self, numbers: np.ndarray, row: int) -> Any:
    """Row `row` of the batch of these items; after the last one, that one masked."""
    i = numbers[min(row, len(numbers) - 1)]
    example = self._example(self._items[i], np.random.default_rng(i))
    if row < len(numbers):
      return example
    return example.replace(mask=np.zeros_like(example.mask))


class Cached:
  """Items in memory, as many as fit into a budget; the least recently used leave first."""

  def __init__(self, items: Items, megabytes: float):
    self._items, self._budget = items, megabytes * 1e6
    self._kept: collections.OrderedDict[int, tuple[Any, int]] = collections.OrderedDict()
    self._used = 0
    self._lock = threading.Lock()  # batches are built ahead by a thread

  def __len__(self) -> int:
    return len(self._items)

  def __getitem__(self, index: int) -> Any:
    with self._lock:
      if index in self._kept:
        self._kept.move_to_end(index)
        return self._kept[index][0]
    item = self._items[index]
    with self._lock:
      self._keep(index, item, _bytes(item))
    return item

  def _keep(self, index: int, item: Any, size: int) -> None:
    if index in self._kept or size > self._budget:
      return
    while self._used + size > self._budget:
      self._used -= self._kept.popitem(last=False)[1][1]
    self._kept[index] = item, size
    self._used += size


def _share(size: int, index: int, count: int) -> range:
  """The rows of a batch that a process builds: its devices are neighbours in the mesh."""
  return range(index * size // count, (index + 1) * size // count)


def _stack(examples: Sequence[Any]) -> Any:
  return jax.tree.map(lambda *leaves: np.stack(leaves), *examples)


def _order(length: int, seed: int, groups: Sequence[Any] | None) -> grain.MapDataset:
  """Item numbers, shuffled anew in each epoch, for ever."""
  if groups is None:
    return _endless(np.arange(length), seed)
  names = np.asarray(groups)
  parts = [
    _endless(np.flatnonzero(names == name), seed + k) for k, name in enumerate(np.unique(names))
  ]
  return grain.MapDataset.mix(parts)


def _endless(numbers: np.ndarray, seed: int) -> grain.MapDataset:
  return grain.MapDataset.source(_Epochs(numbers, seed)).seed(seed)


class _Epochs:
  """Numbers for ever, in a new order in each epoch.

  Grain's own shuffle costs 2 ms an example for a dozen items (it walks a 16-bit domain).
  """

  def __init__(self, numbers: np.ndarray, seed: int):
    self._numbers, self._seed = numbers, seed
    self._last: tuple[int, np.ndarray] = (-1, numbers)

  def __len__(self) -> int:
    return sys.maxsize

  def __getitem__(self, index: int) -> int:
    epoch, place = divmod(index, len(self._numbers))
    known, order = self._last
    if known != epoch:
      order = np.random.default_rng((self._seed, epoch)).permutation(self._numbers)
      self._last = epoch, order
    return int(order[place])


def _bytes(item: Any) -> int:
  """Memory of a record: its arrays and its encoded pictures."""
  leaves = jax.tree.leaves(dict(item))
  return sum(x.nbytes if isinstance(x, np.ndarray) else sys.getsizeof(x) for x in leaves)
