"""The shared keys of a config, read once into frozen dataclasses.

A key that is not a field here is refused with its nearest neighbour, so no key goes unread.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from gmtalker_jax.core.errors import InputError, did_you_mean
from gmtalker_jax.train.optimizers import Optimizer


@dataclasses.dataclass(frozen=True)
class Data:
  """Where examples come from."""

  records: str  # what `gmtalker prepare` wrote
  batch_size: int
  frames: int = 100  # video frames of a window
  balanced: bool = True  # every emotion gets the same share of the examples
  soft_levels: bool = True  # intensity levels as soft labels
  cache: bool = True  # keep the decoded records in memory
  verify: bool = True  # compare the digests of the shards at the start
  subject: str = ''  # portrait: the person; '' = the only one with frames
  expression_workdir: str = ''  # portrait: whose encoder gives z_gm


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """What is measured on the test split."""

  every: int = 0  # steps; 0 = only at the end
  batches: int = 8  # at most so many; 0 = the whole split


@dataclasses.dataclass(frozen=True)
class Settings:
  """A whole config."""

  stage: str
  steps: int
  data: Data
  evaluation: Evaluation
  model: Mapping[str, Any]
  loss: Mapping[str, Any]
  optimizers: Mapping[str, Optimizer]
  seed: int = 0
  mode: str = 'jit'  # jit | pmap
  fsdp: bool = False
  ema_decay: float = 0.999
  save_every: int = 1000
  keep: int = 2  # checkpoints
  log_every: int = 50


# A resumed run may change these; all else would make it another run.
FREE = (
  'steps', 'save_every', 'keep', 'log_every', 'evaluation.every', 'evaluation.batches', 'mode',
  'fsdp', 'data.records', 'data.cache', 'data.verify',
)  # fmt: skip


def read(config: Mapping[str, Any]) -> Settings:
  """Reads a config (a ConfigDict as a plain dictionary).

  Raises InputError for an unknown or missing key, a wrong type or a number that cannot be.
  """
  values = dict(config)
  for name, cls in (('data', Data), ('evaluation', Evaluation)):
    values[name] = build(cls, values.get(name, {}), name)
  values['optimizers'] = {
    network: build(Optimizer, numbers, f'optimizers.{network}')
    for network, numbers in values.get('optimizers', {}).items()
  }
  settings = build(Settings, values, '')
  _at_least('steps', settings.steps, 1)
  _at_least('data.batch_size', settings.data.batch_size, 1)
  _at_least('data.frames', settings.data.frames, 1)
  _at_least('keep', settings.keep, 1)
  return settings


def build(cls: type[Any], values: Mapping[str, Any], where: str) -> Any:
  """A dataclass from a mapping, refusing what it does not know."""
  fields = {f.name: f for f in dataclasses.fields(cls)}
  check_names(values, fields, where)
  for name, field in fields.items():
    missing = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    if name not in values and missing:
      raise InputError(f'got no config.{_dotted(where, name)}, expected one; set it')
    if name in values:
      _check_type(field, values[name], _dotted(where, name))
  return cls(**values)


def names(cls: type[Any]) -> set[str]:
  """The keyword arguments of a dataclass or a linen module."""
  return {f.name for f in dataclasses.fields(cls) if f.init} - {'parent', 'name'}


def check_names(values: Mapping[str, Any], known: Any, where: str) -> None:
  """Raises InputError for a name that is not known."""
  for name in values:
    if name not in known:
      raise InputError(f'got unknown config.{_dotted(where, name)}{did_you_mean(name, known)}')


def _check_type(field: dataclasses.Field, value: Any, name: str) -> None:
  kinds = {bool: bool, int: int, float: (int, float), str: str}
  expected = kinds.get(field.type)
  wrong_bool = isinstance(value, bool) and field.type in (int, float)
  if expected and (not isinstance(value, expected) or wrong_bool):
    kind = getattr(field.type, '__name__', field.type)
    raise InputError(f'got config.{name} = {value!r}, expected {kind}')


def _at_least(name: str, value: int, lowest: int) -> None:
  if value < lowest:
    raise InputError(f'got config.{name} = {value}, expected at least {lowest}')


def _dotted(where: str, name: str) -> str:
  return f'{where}.{name}' if where else name
