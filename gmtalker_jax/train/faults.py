"""What a run does about a step that broke: leave it out, go back, stop; and write down why."""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from gmtalker_jax.core import trees
from gmtalker_jax.core.bounds import Amount, Share, Whole
from gmtalker_jax.types import State

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Faults:
  """How many faults a run bears. Keys of config.faults."""

  skips: Whole  # steps in a row that are not applied, before the run goes back to a checkpoint
  rollbacks: Whole  # times that it goes back, before it stops
  bad_share: Share  # of the training examples' items that may be unreadable
  watchdog_s: Amount  # seconds without a step that end the process; 0 = none


class Taken(NamedTuple):
  """A step that was given to the device."""

  step: int
  position: int  # of its batch in the data
  batch: Any


class Diverged(RuntimeError):
  """More steps in a row were not finite than a run bears. None of them was applied."""

  def __init__(self, taken: Taken, broken: Mapping[str, float]):
    name, value = next(iter(broken.items()), ('the state', float('nan')))
    super().__init__(
      f'got {value} for {name} of phase {name.split("/")[0]!r} at step {taken.step}, expected a '
      'finite number; lower the learning rate or look at the data of that batch (faults/ in the '
      'workdir names them)'
    )
    self.taken = taken


class Guard:
  """Counts steps that were not applied, and keeps what they saw."""

  def __init__(
    self, faults: Faults, members: Callable[[int], list[Any]], keep: Callable[..., None]
  ):
    """Args:

    faults: how many are borne.
    members: position -> the names of the examples of that batch.
    keep: (step, document, arrays) -> writes them down.
    """  # fmt: skip
    self._faults, self._members, self._keep = faults, members, keep
    self.streak = 0

  def applied(self) -> None:
    """Tells that a step was applied."""
    self.streak = 0

  def skipped(self, taken: Taken, broken: Mapping[str, float], state: State) -> None:
    """Tells that a step was not applied; `state` is that of now. Raises Diverged after too many."""
    self.streak += 1
    document = {
      'step': taken.step,
      'position': taken.position,
      'not_finite': {name: str(value) for name, value in broken.items()},
      'examples': self._members(taken.position),
    }
    first = self.streak == 1  # the others of a streak saw nearly the same state
    arrays = _arrays({'batch': taken.batch, 'state': state}) if first else {}
    self._keep(taken.step, document, arrays)
    _logger.warning(
      'step %d was not applied: %s', taken.step,
      ', '.join(f'{name} is {value}' for name, value in broken.items()) or 'the state broke',
    )  # fmt: skip
    if self.streak > self._faults.skips:
      raise Diverged(taken, broken)


def _arrays(tree: Any) -> dict[str, np.ndarray]:
  """By dotted names, what this process has of arrays and no process before it.

  Of an array that is cut up over processes: its parts, as 'NAME@0:8,4:6'.
  """
  found = {}
  for name, leaf in trees.leaves(tree).items():
    if getattr(leaf, 'is_fully_addressable', True):
      found[name] = np.asarray(leaf)
      continue
    for shard in leaf.addressable_shards:
      if shard.replica_id == 0:
        places = [s.indices(n)[:2] for s, n in zip(shard.index, leaf.shape, strict=True)]
        where = ','.join(f'{first}:{last}' for first, last in places)
        whole = shard.data.shape == leaf.shape
        found[name if whole else f'{name}@{where}'] = np.asarray(shard.data)
  return found
