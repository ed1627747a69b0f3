"""Who is faster, on a machine that others use too: all take turns, and only ratios are believed."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import NamedTuple


class Pace(NamedTuple):
  """How long one way of doing a thing takes, beside the first way."""

  seconds: float  # median of the rounds
  ratio: float  # median over the rounds of its time / that of the first in the same round
  least: float  # of these ratios
  most: float


def turns(
  ways: Mapping[str, Callable[[], object]],
  rounds: int,
  least: float,
  wait: Callable[[object], object] = lambda made: None,
) -> tuple[dict[str, Pace], dict[str, str]]:
  """Times every way once a round, in an order that turns, so that a busy minute hits all alike.

  Args:
    ways: calls that begin the work; the first is what the others are compared with.
    rounds: how many.
    least: seconds that one timing lasts at least; a call is repeated until then, twice or more.
    wait: returns when what a call made is there. It is asked once a timing, as a training does that
      lets its next step begin before it looks at the last one.

  Returns:
    (the pace of each way, why a way that raised has none). What the first way raises is raised.
  """
  failed: dict[str, str] = {}
  calls: dict[str, int] = {}
  for name, call in ways.items():
    try:
      _time(call, 2, wait)  # compiles, fills caches
      calls[name] = max(2, math.ceil(least / _time(call, 1, wait)))
    except Exception as error:  # compilers raise anything
      if name == next(iter(ways)):
        raise
      failed[name] = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
  names = [name for name in ways if name not in failed]
  seconds: dict[str, list[float]] = {name: [] for name in names}
  for turn in range(rounds):
    begin = turn % len(names)
    for name in names[begin:] + names[:begin]:
      _time(ways[name], 1, wait)  # PyTorch's threads go on spinning for a while, on our cores
      seconds[name].append(_time(ways[name], calls[name], wait))
  return {name: _pace(seconds[name], seconds[names[0]]) for name in names}, failed


def _time(call: Callable[[], object], calls: int, wait: Callable[[object], object]) -> float:
  begun, made = time.perf_counter(), None
  for _ in range(calls):
    made = call()
  wait(made)
  return (time.perf_counter() - begun) / calls


def _pace(own: Sequence[float], first: Sequence[float]) -> Pace:
  ratios = [a / b for a, b in zip(own, first, strict=True)]
  return Pace(median(own), median(ratios), min(ratios), max(ratios))
