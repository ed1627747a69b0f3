import itertools
from collections import Counter

import jax
import numpy as np
import pytest

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data.batches import Batches, Cached, InOrder
from gmtalker_jax.types import MotionBatch


def example(item, rng):
  """Item number and what it drew."""
  draw = np.array([item, rng.integers(0, 2**31)])
  return MotionBatch(motion=draw, speech=draw, mask=np.ones(2, np.float32))


def make(seed=0, size=4, items=13, **options):
  return Batches(list(range(items)), example, size, seed, **options)


def draws(batch):
  return [tuple(row) for row in batch.motion.tolist()]


def test_a_batch_is_a_function_of_seed_and_index():
  a, b = make(), make()
  forwards = [draws(a[i]) for i in range(9)]
  backwards = [draws(b[i]) for i in reversed(range(9))][::-1]
  assert forwards == backwards
  assert forwards != [draws(make(seed=1)[i]) for i in range(9)]
  assert draws(a[10**7]) == draws(b[10**7])


def test_every_item_comes_once_in_an_epoch_and_with_a_new_window_in_the_next():
  rows = list(itertools.chain(*(draws(make()[i]) for i in range(13))))  # four epochs of 13
  epochs = [rows[13 * k : 13 * (k + 1)] for k in range(4)]
  for epoch in epochs:
    assert sorted(item for item, _ in epoch) == list(range(13))
  assert len({tuple(i for i, _ in epoch) for epoch in epochs}) == 4  # orders
  assert len(set(rows)) == len(rows)  # windows


@pytest.mark.parametrize('count', [2, 4])
def test_processes_share_the_same_global_batch(count):
  whole = make()
  parts = [make(process=(k, count)) for k in range(count)]
  for i in (0, 3, 11):
    gathered = list(itertools.chain(*(draws(part[i]) for part in parts)))
    assert sorted(gathered) == sorted(draws(whole[i]))
  with pytest.raises(InputError, match='multiple of 3 processes'):
    make(process=(0, 3))


def test_groups_get_equal_shares():
  groups = ['happy'] * 10 + ['sad'] * 2 + ['angry']
  batches = make(groups=groups, size=6)
  counts = Counter(groups[item] for i in range(10) for item, _ in draws(batches[i]))
  assert counts == {'happy': 20, 'sad': 20, 'angry': 20}
  assert {item for i in range(10) for item, _ in draws(batches[i])} == set(range(13))


def test_iterating_ahead_changes_nothing():
  batches = make()
  feed = batches.iterate(5)
  for i in range(5, 12):
    assert draws(next(feed)) == draws(batches[i])
  feed.close()


def test_evaluation_takes_each_item_once_and_masks_the_rest():
  batches = InOrder(list(range(10)), example, 4)
  assert [b.mask.any(-1).tolist() for b in batches] == [[True] * 4] * 2 + [[True, True, 0, 0]]
  rows = [r for b in batches for r, m in zip(draws(b), b.mask[:, 0], strict=True) if m]
  assert [item for item, _ in rows] == list(range(10))
  again = InOrder(list(range(10)), example, 4)
  assert jax.tree.all(jax.tree.map(np.array_equal, list(batches), list(again)))


def test_a_limited_evaluation_is_spread_over_the_items():
  items = [b.motion[:, 0].tolist() for b in InOrder(list(range(100)), example, 4, limit=2)]
  assert len(items) == 2
  assert items[0][0] == 0
  assert items[1][-1] > 80


def test_no_items_are_an_error():
  with pytest.raises(InputError, match='no training examples'):
    make(items=0)


class Reads:
  """Items that count how often each was read."""

  def __init__(self, count):
    self.counts = Counter()
    self._count = count

  def __len__(self):
    return self._count

  def __getitem__(self, index):
    self.counts[index] += 1
    return {'rows': np.full(250_000, index, np.float32), 'pictures': [b'x' * 100]}  # 1 MB


def test_a_cache_holds_its_budget_and_drops_what_was_not_used():
  items = Reads(10)
  cache = Cached(items, megabytes=3.5)
  for i in (0, 1, 2, 0, 3, 0, 1):  # 3 evicts 1, the least recently used; 1 is read again
    assert cache[i]['rows'][0] == i
  assert items.counts == {0: 1, 1: 2, 2: 1, 3: 1}
  for i in range(10):
    cache[i]
  assert cache._used <= 3.5e6
  assert len(cache._kept) == 3


def test_a_cache_without_room_keeps_nothing():
  items = Reads(2)
  cache = Cached(items, megabytes=0)
  assert len(cache) == 2
  for _ in range(3):
    cache[1]
  assert items.counts == {1: 3}
