"""A config, read once into frozen dataclasses. All numbers are the config's: nothing has a default.

A key that is not a field here is refused with its nearest neighbour, so no key goes unread.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from gmtalker_jax.core import bounds, sharding
from gmtalker_jax.core.bounds import BelowOne, Between, Count, OneOf, Seed, Whole, Written
from gmtalker_jax.core.errors import InputError, did_you_mean
from gmtalker_jax.stages.base import REMAT
from gmtalker_jax.train.faults import Faults
from gmtalker_jax.train.optimizers import Optimizer

# Of a window: two minutes. Attention is quadratic in it.
Frames = Annotated[int, Between(1, 3_000)]


@dataclasses.dataclass(frozen=True)
class Data:
  """Where examples come from. What only one stage needs to know is added in train/examples."""

  records: str  # what `gmtalker prepare` wrote
  batch_size: Count
  balanced: bool  # every emotion gets the same share of the examples
  cache_mb: Whole  # megabytes of records that are kept in memory, of each split
  verify: bool  # compare the digests of the shards at the start


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """What is measured on the test split."""

  every: Whole  # steps; 0 = only at the end
  batches: Whole  # at most so many; 0 = the whole split


@dataclasses.dataclass(frozen=True)
class Settings:
  """A whole config."""

  stage: str
  init_from: str  # a talker or a workdir whose generator this run begins with; '' = none
  steps: Count
  data: Any  # the stage's own kind of `Data`
  evaluation: Evaluation
  model: Mapping[str, Any]
  loss: Mapping[str, Any]
  optimizers: Mapping[str, Optimizer]
  seed: Seed
  mode: Annotated[str, OneOf(('jit', 'pmap'))]
  mesh: Annotated[
    str, Written(sharding.SHAPE, 'devices as DATA or DATAxFSDP, such as all, 8, 4x2 or 1xall')
  ]
  copied: str  # parts of paths, with commas; '' = none
  accumulate: Count
  remat: Annotated[str, OneOf(REMAT)]
  faults: Faults
  ema_decay: BelowOne
  save_every: Whole
  keep: Count  # checkpoints
  keep_every: Whole  # steps; their multiples are kept for ever, 0 = none
  log_every: Whole


# A resumed run may change these; all else would make it another run.
FREE = (
  'steps', 'save_every', 'keep', 'log_every', 'evaluation.every', 'evaluation.batches', 'mode',
  'mesh', 'copied', 'accumulate', 'remat', 'init_from', 'data.records', 'data.cache_mb',
  'data.verify', 'data.expression_workdir', 'data.vgg16', 'keep_every', 'faults.skips',
  'faults.rollbacks', 'faults.bad_share', 'faults.watchdog_s', 'fsdp',  # which was a key of 0.2
)  # fmt: skip


def read(config: Mapping[str, Any], data: type[Data]) -> Settings:
  """Reads a config (a ConfigDict as a plain dictionary); `data` is the stage's kind of `Data`.

  Raises InputError for an unknown or missing key, a wrong type or a number that cannot be.
  """
  values = dict(config)
  for name, cls in (('data', data), ('evaluation', Evaluation), ('faults', Faults)):
    values[name] = build(cls, values.get(name, {}), name)
  values['optimizers'] = {
    network: build(Optimizer, numbers, f'optimizers.{network}')
    for network, numbers in values.get('optimizers', {}).items()
  }
  return build(Settings, values, '')


def build(cls: type[Any], values: Mapping[str, Any], where: str) -> Any:
  """A dataclass from a mapping that must have its fields and no other."""
  check(cls, values, where)
  return cls(**values)


def check(
  cls: type[Any], values: Mapping[str, Any], where: str, without: Iterable[str] = ()
) -> None:
  """Compares a section of a config with a dataclass or a linen module.

  Args:
    cls: has the fields that the section must have.
    values: the section.
    where: its name, for messages.
    without: fields that come from elsewhere.

  Raises:
    InputError: a field is missing, unknown, of a wrong type, or beyond its limits.
  """
  fields = {f.name: f for f in dataclasses.fields(cls) if f.init and f.name not in without}
  fields = {name: field for name, field in fields.items() if name not in ('parent', 'name')}
  for name in values:
    if name not in fields:
      raise InputError(f'got unknown config.{_dotted(where, name)}{did_you_mean(name, fields)}')
  for name, field in fields.items():
    if name not in values:
      raise InputError(f'got no config.{_dotted(where, name)}, expected one; set it')
    bounds.check(field.type, f'config.{_dotted(where, name)}', values[name], values)


def _dotted(where: str, name: str) -> str:
  return f'{where}.{name}' if where else name
