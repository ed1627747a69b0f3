"""What `gmtalker launch` reads: one training, and a table for each place that it may run on."""

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gmtalker_jax.cli import shipped
from gmtalker_jax.core import bounds
from gmtalker_jax.core.bounds import Count, Whole
from gmtalker_jax.core.errors import InputError, did_you_mean

EXAMPLE = 'launch.toml'
DOCTOR = ('doctor', '--distributed')


@dataclasses.dataclass(frozen=True)
class Local:
  """Processes of this machine, on its CPU."""

  processes: Count
  devices: Count  # of each process


@dataclasses.dataclass(frozen=True)
class Slurm:
  """A job of a SLURM cluster."""

  nodes: Count
  tasks_per_node: Count
  warning: Whole  # seconds between SIGTERM and the end
  options: list
  setup: list  # shell lines before the training


@dataclasses.dataclass(frozen=True)
class TpuVm:
  """The hosts of a TPU slice, by gcloud."""

  name: str
  zone: str
  type: str
  version: str
  options: list
  setup: list  # shell lines, once on each host


@dataclasses.dataclass(frozen=True)
class Xpk:
  """A workload of a GKE cluster, by xpk."""

  cluster: str
  workload: str
  type: str
  slices: Count
  image: str
  grace: Whole  # seconds from SIGTERM to the end
  options: list


Place = Local | Slurm | TpuVm | Xpk
PLACES: Mapping[str, type[Place]] = {'local': Local, 'slurm': Slurm, 'tpu-vm': TpuVm, 'xpk': Xpk}


@dataclasses.dataclass(frozen=True)
class Training:
  """What is to be trained: flags of `gmtalker train`."""

  config: str
  workdir: str
  flags: list
  command: tuple = ('train',)  # of gmtalker, that is given them

  @property
  def arguments(self) -> list[str]:
    """Of `gmtalker train`."""
    return [f'--config={self.config}', f'--workdir={self.workdir}', *self.flags]


def read(path: str, kind: str) -> tuple[Training, Place]:
  """Reads a file such as configs/launch.toml, of its places only the one of `kind`.

  Raises:
    InputError: it cannot be read, or a key is missing, unknown or of a wrong type.
  """
  try:
    values = tomllib.loads(_find(path).read_text(encoding='utf-8'))
  except (OSError, ValueError) as error:
    raise InputError(f'cannot read {path!r} ({error}); see configs/{EXAMPLE}') from None
  own = {name: value for name, value in values.items() if not isinstance(value, dict)}
  for name in values.keys() - own.keys() - PLACES.keys():
    raise InputError(f'got unknown [{name}] in {path}{did_you_mean(name, PLACES)}')
  if kind not in values:
    raise InputError(f'got no [{kind}] in {path}, expected one; see configs/{EXAMPLE}')
  return _build(Training, own, path), _build(PLACES[kind], values[kind], f'{path} [{kind}]')


def _build(cls: type[Any], values: Mapping[str, Any], where: str) -> Any:
  fields = {f.name: f for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING}
  for name in values:
    if name not in fields:
      raise InputError(f'got unknown {name!r} in {where}{did_you_mean(name, fields)}')
  for name, field in fields.items():
    if name not in values:
      raise InputError(f'got no {name!r} in {where}, expected one; see configs/{EXAMPLE}')
    value = values[name]
    if field.type is list:
      if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise InputError(f'got {name} = {value!r} in {where}, expected a list of texts')
    else:
      bounds.check(field.type, f'{name} in {where}', value, values)
  return cls(**values)


def _find(path: str) -> Path:
  """The file `path`; where there is none, the example that ships, if that is meant."""
  if not os.path.exists(path) and path in (EXAMPLE, f'configs/{EXAMPLE}'):
    return Path(shipped.module('configs').__file__ or '').with_name(EXAMPLE)
  return Path(path)
