"""Mean and spread of what the generators see, fitted on the training split; and the way back."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema

# In the units of data/schema.py. A channel that hardly moves (a tongue that nobody shows) must not
# have its tracking noise blown up to unit variance.
STD_FLOOR = 1e-3
_PLACE = np.r_[schema.ROTATION, schema.TRANSLATION, schema.GAZE]


class Moments(NamedTuple):
  """Count, mean and variance of each channel of a vector."""

  count: float
  mean: np.ndarray  # [C] float64
  variance: np.ndarray  # [C] float64, of the population

  @classmethod
  def of(cls, rows: np.ndarray) -> 'Moments':
    """Measures `rows` [N, C]."""
    rows = np.asarray(rows, np.float64)
    if not len(rows):
      return cls(0.0, np.zeros(rows.shape[1]), np.zeros(rows.shape[1]))
    return cls(float(len(rows)), rows.mean(0), rows.var(0))

  @property
  def std(self) -> np.ndarray:
    """Standard deviation [C], never below `STD_FLOOR`."""
    return np.sqrt(np.maximum(self.variance, STD_FLOOR**2))

  def normalize(self, x: Any) -> Any:
    """Standardises `x` [..., C] (NumPy or JAX)."""
    return (x - _like(self.mean, x)) / _like(self.std, x)

  def unnormalize(self, x: Any) -> Any:
    """The inverse of `normalize`: back to the units of data/schema.py."""
    return x * _like(self.std, x) + _like(self.mean, x)

  def awakened(self, other: 'Moments') -> 'Moments':
    """These moments for rows of `other`, where channels may move that never moved here.

    A network that was trained on these has seen such a channel at rest only. It rests at the mean
    of `other` now, and its changes, whose units are 1 wide, hardly reach the network.
    """
    woken = (self.variance <= STD_FLOOR**2) & (other.variance > STD_FLOOR**2)
    return self._replace(
      mean=np.where(woken, other.mean, self.mean), variance=np.where(woken, 1.0, self.variance)
    )

  def merge(self, other: 'Moments') -> 'Moments':
    """The moments of both sets of rows together (Chan et al. 1979)."""
    count = self.count + other.count
    if not count:
      return self
    share = other.count / count
    delta = other.mean - self.mean
    variance = (1 - share) * self.variance + share * other.variance
    return Moments(count, self.mean + delta * share, variance + delta**2 * share * (1 - share))


class Statistics(NamedTuple):
  """The moments of the three vectors of a record."""

  expression: Moments  # [E]
  motion: Moments  # [M]
  speech: Moments  # [D]

  def merge(self, other: 'Statistics') -> 'Statistics':
    """The statistics of both sets of records together."""
    return Statistics(*(a.merge(b) for a, b in zip(self, other, strict=True)))

  def moved_to(self, other: 'Statistics') -> 'Statistics':
    """These statistics for networks that go on with the records of `other`.

    Channels that never moved wake up (`Moments.awakened`). And where a head rests and looks is a
    matter of who filmed it and how near, not of manner: pose and gaze are about the mean of
    `other`, in the units that the networks know.
    """
    awake = Statistics(*(a.awakened(b) for a, b in zip(self, other, strict=True)))
    mean = awake.motion.mean.copy()
    place = _PLACE[len(mean) > _PLACE]  # the layout 'bfm' has no gaze
    mean[place] = other.motion.mean[place]
    return awake._replace(motion=awake.motion._replace(mean=mean))

  def to_json(self) -> dict[str, Any]:
    """Plain lists and numbers; through JSON they survive exactly."""
    return {
      name: {'count': m.count, 'mean': m.mean.tolist(), 'variance': m.variance.tolist()}
      for name, m in self._asdict().items()
    }


def measure(record: Mapping[str, Any]) -> Statistics:
  """The statistics of one record; frames whose face was not tracked do not count."""
  valid = np.asarray(record['valid']) > 0
  return Statistics(
    expression=Moments.of(np.asarray(record['expression'])[valid]),
    motion=Moments.of(np.asarray(record['motion'])[valid]),
    speech=Moments.of(record['speech']),
  )


def fit(records: Iterable[Mapping[str, Any]]) -> Statistics:
  """The statistics of many records, one at a time in memory."""
  total = None
  for record in records:
    one = measure(record)
    total = one if total is None else total.merge(one)
  if total is None:
    raise InputError('got no records to fit statistics on, expected at least one')
  return total


def from_json(data: Mapping[str, Any]) -> Statistics:
  """The inverse of `Statistics.to_json`."""

  def moments(name):
    m = data[name]
    return Moments(float(m['count']), np.asarray(m['mean']), np.asarray(m['variance']))

  return Statistics(*(moments(name) for name in Statistics._fields))


def load(path: str | Path) -> Statistics:
  """Reads a file of `Statistics.to_json`."""
  try:
    return from_json(json.loads(Path(path).read_text()))
  except (OSError, ValueError, KeyError, TypeError) as e:
    raise InputError(
      f'got no readable statistics at {path} ({type(e).__name__}), '
      'expected a statistics.json; prepare the records again'
    ) from e


def _like(channels: np.ndarray, x: Any) -> np.ndarray:
  # As many axes as x: JAX is told to raise on implicit rank promotion.
  return channels.astype(np.float32).reshape((1,) * (x.ndim - 1) + (-1,))
