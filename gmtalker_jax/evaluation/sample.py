"""What a number rests on: a row of values for each clip, and the interval that the clips leave it.

A number is `combine` of the mean row: a mean, or a ratio of means. So clips can be drawn again
(Efron 1979: the bootstrap, percentiles of 2,000 draws), and two talkers compared clip by clip.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

DRAWS = 2000
COVERAGE = 0.95
_FEWEST = 3  # clips: of fewer no interval is told
_SEED = 0

Combine = Callable[[np.ndarray], np.ndarray]  # mean rows [..., C] -> numbers [...]


class Sample(NamedTuple):
  """Clips and what was found in each."""

  clips: tuple[str, ...]
  values: np.ndarray  # [N, C]

  @classmethod
  def of(cls, clips: Sequence[str], values: Sequence | np.ndarray) -> 'Sample':
    """From values [M] or [M, C] of clips that may come more than once: each clip's are averaged."""
    rows = np.asarray(values, np.float64).reshape(len(clips), -1)
    names = tuple(dict.fromkeys(clips))
    label = np.asarray(clips)
    return cls(names, np.stack([rows[label == name].mean(0) for name in names]))

  @classmethod
  def read(cls, saved: Mapping[str, Sequence[float]]) -> 'Sample':
    """From the form of `saved`."""
    return cls(tuple(saved), np.asarray(list(saved.values()), np.float64))

  def saved(self) -> dict[str, list[float]]:
    """As JSON holds it: clip -> row."""
    return dict(zip(self.clips, self.values.tolist(), strict=True))


class Interval(NamedTuple):
  """Where the number would lie with other clips of the same kind, 95 times of 100."""

  low: float
  high: float


def first(row: np.ndarray) -> np.ndarray:
  """The mean of one value."""
  return row[..., 0]


def ratio(row: np.ndarray) -> np.ndarray:
  """The mean of the first value over that of the second; NaN where that is 0."""
  return _over(row[..., 0], row[..., 1])


def value(sample: Sample, combine: Combine = first) -> float | None:
  """The number; None where these clips do not define it."""
  return _known(float(combine(sample.values.mean(0))))


def interval(sample: Sample, combine: Combine = first) -> Interval | None:
  """Its interval; None of fewer than three clips, or where many draws do not define it."""
  return _percentiles(combine(_drawn(sample.values)))


def difference(
  a: Sample, b: Sample, combine: Combine = first
) -> tuple[float | None, Interval | None, int]:
  """b - a over the clips that both have, its interval with clips drawn in pairs, and how many."""
  shared = [clip for clip in a.clips if clip in set(b.clips)]
  if not shared:
    return None, None, 0
  ours, theirs = (np.stack([s.values[s.clips.index(clip)] for clip in shared]) for s in (a, b))
  found = _known(float(combine(theirs.mean(0)) - combine(ours.mean(0))))
  # The same seed draws the same clips of both: what is hard in a clip is hard for both.
  return found, _percentiles(combine(_drawn(theirs)) - combine(_drawn(ours))), len(shared)


def _drawn(values: np.ndarray) -> np.ndarray:
  """Mean rows [DRAWS, C] of clips drawn with replacement; empty of too few."""
  count = len(values)
  if count < _FEWEST:
    return np.empty((0, values.shape[1]))
  index = np.random.default_rng(_SEED).integers(0, count, (DRAWS, count))
  return values[index].mean(1)


def _percentiles(numbers: np.ndarray) -> Interval | None:
  known = numbers[np.isfinite(numbers)]
  if not len(known) or len(known) < COVERAGE * len(numbers):
    return None
  tail = 50 * (1 - COVERAGE)
  low, high = np.percentile(known, (tail, 100 - tail))
  return Interval(float(low), float(high))


def _known(number: float) -> float | None:
  return number if np.isfinite(number) else None


def _over(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  return np.divide(a, b, out=np.full(np.shape(a), np.nan), where=np.asarray(b) != 0)
