"""Work on the next items while the caller is busy with the last one."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

In = TypeVar('In')
Out = TypeVar('Out')


def map_in_order(function: Callable[[In], Out], items: Iterable[In], workers: int) -> Iterator[Out]:
  """Yields function(item) for each item, in order; `workers` threads are ahead of the caller.

  The first item is done alone and at once: it is waited for, and what is compiled for it should be
  compiled by one thread. From then on at most `workers` + 1 items are begun and not yet taken. An
  exception of `function` or of `items` comes out in its turn, after which nothing more is begun;
  neither when the caller stops early. All threads have ended when the iterator has.
  """
  items = iter(items)
  for first in items:
    yield function(first)
    break
  begun: deque[Future[Out]] = deque()
  with ThreadPoolExecutor(workers) as pool:
    try:
      for item in items:
        begun.append(pool.submit(function, item))
        if len(begun) > workers:
          yield begun.popleft().result()
      while begun:
        yield begun.popleft().result()
    finally:
      for future in begun:
        future.cancel()
