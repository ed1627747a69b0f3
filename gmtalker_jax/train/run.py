"""From a config and a workdir to a trained stage."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from gmtalker_jax.core import sharding, trees
from gmtalker_jax.core.errors import InputError, check_choice
from gmtalker_jax.data import batches
from gmtalker_jax.io import checkpoints, workdir
from gmtalker_jax.io.writers import Writer
from gmtalker_jax.models.expression import ExpressionGenerator
from gmtalker_jax.models.motion import MotionGenerator
from gmtalker_jax.models.portrait import PortraitGenerator
from gmtalker_jax.stages import STAGES, expression, motion, portrait
from gmtalker_jax.stages.base import Stage
from gmtalker_jax.train import columns, loop, optimizers
from gmtalker_jax.train import settings as settings_lib
from gmtalker_jax.train.settings import Settings


def train(
  config: Mapping[str, Any],
  workdir_path: str | Path,
  progress: bool = True,
  devices: list[jax.Device] | None = None,
) -> dict[str, float]:
  """Trains the stage that a config describes; goes on where the workdir stopped.

  Args:
    config: see configs/; a ConfigDict or a plain mapping.
    workdir_path: everything is written there, see io/workdir.py.
    progress: show it on stderr.
    devices: train on these; by default on all.

  Returns:
    The last metrics, 'train/...' and 'test/...', as in WORKDIR/final.json.

  Raises:
    InputError: the config, the records or the workdir do not fit.
    loop.Diverged, loop.Preempted: see there.
  """
  config = _plain(config)
  settings = settings_lib.read(config)
  directory = Path(workdir_path)
  check_choice('config.stage =', settings.stage, STAGES)
  _check_resume(config, directory)
  mesh = sharding.make_mesh(devices)
  if settings.data.batch_size % mesh.size:
    raise InputError(
      f'got config.data.batch_size = {settings.data.batch_size}, expected a multiple of the '
      f'{mesh.size} devices'
    )
  column, about = columns.open_column(settings, config)
  stage = make_stage(settings, column.model)
  documents = {'about': about._asdict(), 'statistics': column.statistics.to_json()}
  workdir.write_json(directory / 'config.json', documents['about'])
  workdir.write_json(directory / 'statistics.json', documents['statistics'])

  with checkpoints.Checkpoints(directory / workdir.CHECKPOINTS, settings.keep) as saved:
    results = loop.fit(
      stage,
      batches.Batches(
        column.train, column.example, settings.data.batch_size, settings.seed, column.groups
      ),
      batches.in_order(
        column.test, column.example, settings.data.batch_size, settings.evaluation.batches
      ),
      loop.Schedule(
        settings.steps, settings.save_every, settings.evaluation.every, settings.log_every
      ),
      saved,
      lambda step: Writer(directory, step),
      mesh=mesh,
      seed=settings.seed,
      mode=settings.mode,
      fsdp=settings.fsdp,
      fingerprint=column.fingerprint,
      documents=documents,
      progress=progress,
    )
  workdir.write_json(directory / 'final.json', {'step': settings.steps, **results})
  return results


def make_stage(settings: Settings, model: Mapping[str, Any]) -> Stage:
  """The stage of a config; `model` are its keyword arguments with all sizes filled in."""
  axis = sharding.AXIS if settings.mode == 'pmap' else None
  chains = {name: optimizers.make(o, axis) for name, o in settings.optimizers.items()}
  network, objective, more = _CLASSES[settings.stage]
  for where, values, known in (
    ('model', settings.model, settings_lib.names(network) | more),
    ('loss', settings.loss, settings_lib.names(objective)),
  ):
    settings_lib.check_names(values, known, where)
  return STAGES[settings.stage].make(model, settings.loss, chains, settings.ema_decay)


# stage -> (generator, objective, further keys of config.model)
_CLASSES = {
  'expression': (ExpressionGenerator, expression.Objective, set()),
  'motion': (MotionGenerator, motion.Objective, set()),
  'portrait': (PortraitGenerator, portrait.PortraitLoss, {'discriminator'}),
}


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
  """As JSON would have it: plain dictionaries and lists, references resolved."""
  to_dict = getattr(config, 'to_dict', None)
  values = to_dict() if to_dict else dict(config)
  return json.loads(json.dumps(values))


def _check_resume(config: Mapping[str, Any], directory: Path) -> None:
  """A run that goes on must be the same run."""
  if not checkpoints.steps(directory / workdir.CHECKPOINTS):
    return
  path = directory / 'config.json'
  if not path.is_file():
    raise InputError(f'got checkpoints in {directory} without a config.json, expected both')
  before = json.loads(path.read_text())['config']
  for name, (old, new) in trees.differences(before, config).items():
    if name not in settings_lib.FREE:
      raise InputError(
        f'got config.{name} = {new!r}, expected {old!r} as when {directory} was begun; take a '
        'new workdir for another config'
      )
