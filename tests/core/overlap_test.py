import threading
import time

import pytest

from gmtalker_jax.core import overlap


def names() -> set[str]:
  return {thread.name for thread in threading.enumerate()}


def test_order_is_kept_though_later_items_are_done_sooner():
  def slow_for_even(n):
    time.sleep(0.02 * (n % 2 == 0))
    return n

  assert list(overlap.map_in_order(slow_for_even, range(9), 3)) == list(range(9))
  assert list(overlap.map_in_order(slow_for_even, [], 3)) == []
  assert list(overlap.map_in_order(slow_for_even, [5], 3)) == [5]


def test_workers_are_ahead_of_the_caller_but_not_far():
  begun = []
  results = overlap.map_in_order(begun.append, range(50), 2)
  next(results)
  assert begun == [0]  # alone: what it compiles is compiled once
  next(results)
  time.sleep(0.1)
  assert sorted(begun) == [0, 1, 2, 3]
  results.close()


def test_two_are_worked_on_at_once():
  meet = threading.Barrier(2, timeout=20)
  results = overlap.map_in_order(lambda n: n if n == 0 else meet.wait() * 0 + n, range(5), 2)
  assert list(results) == [0, 1, 2, 3, 4]


def test_an_exception_comes_out_in_its_turn_and_ends_the_work():
  before, begun = names(), []

  def third_fails(n):
    begun.append(n)
    if n == 3:
      raise ValueError('three')
    return n

  results, taken = overlap.map_in_order(third_fails, range(100), 2), []
  with pytest.raises(ValueError, match='three'):
    taken.extend(iter(results.__next__, None))
  assert max(begun) <= 6
  assert names() == before


def test_an_exception_of_the_items_comes_out():
  def items():
    yield 1
    yield 2
    raise KeyError('items')

  before = names()
  with pytest.raises(KeyError, match='items'):
    list(overlap.map_in_order(int, items(), 2))
  assert names() == before


@pytest.mark.parametrize('taken', [0, 1, 2, 5])
def test_who_stops_early_leaves_no_thread(taken):
  before, begun = names(), []
  results = overlap.map_in_order(begun.append, range(1000), 2)
  for _ in range(taken):
    next(results)
  results.close()
  assert names() == before
  assert len(begun) <= taken + 3


def test_an_interrupt_of_the_caller_ends_the_threads():
  before = names()

  def interrupted():
    for n in overlap.map_in_order(int, range(1000), 2):
      if n == 4:
        raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    interrupted()
  assert names() == before
