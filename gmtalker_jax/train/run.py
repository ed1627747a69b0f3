"""From a config and a workdir to a trained stage."""

import json
import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from gmtalker_jax.core import sharding, trees
from gmtalker_jax.core.errors import InputError, check_choice
from gmtalker_jax.data import batches, schema
from gmtalker_jax.inference import origin as origins
from gmtalker_jax.io import checkpoints, steps, workdir
from gmtalker_jax.io.workdir import About
from gmtalker_jax.io.writers import Writer, last_metrics
from gmtalker_jax.stages import STAGES
from gmtalker_jax.stages.base import Memory, Stage, beginning_with, begun_with
from gmtalker_jax.train import examples, loop, optimizers
from gmtalker_jax.train import settings as settings_lib
from gmtalker_jax.train.profile import Profile
from gmtalker_jax.train.settings import Settings

_logger = logging.getLogger(__name__)


def train(
  config: Mapping[str, Any],
  workdir_path: str | Path,
  progress: bool = True,
  devices: list[jax.Device] | None = None,
  profile: tuple[int, int] = (0, 0),
) -> dict[str, float]:
  """Trains the stage that a config describes; goes on where the workdir stopped.

  Args:
    config: see configs/; a ConfigDict or a plain mapping.
    workdir_path: everything is written there, see io/workdir.py.
    progress: show it on stderr.
    devices: train on these; by default on all.
    profile: (first step, how many) of a trace in WORKDIR/profile; none by default.

  Returns:
    The last metrics, 'train/...' and 'test/...', as in WORKDIR/final.json.

  Raises:
    InputError: the config, the records or the workdir do not fit.
    faults.Diverged, termination.Preempted: see there.
  """
  began = time.time()
  config, directory = _plain(config), Path(workdir_path)
  settings = read(config)
  _check_resume(config, directory)
  mesh = sharding.make_mesh(devices, settings.mesh)
  check_batch(settings, mesh.size)
  spec = STAGES[settings.stage]
  origin = origins.load(settings.init_from, spec.name) if settings.init_from else None
  found = examples.of(spec.name).open_examples(settings, origin.statistics if origin else None)
  model = {**settings.model, **{name: found.sizes[name] for name in spec.sizes}}
  stage = make_stage(settings, model, **found.assets)
  if origin:
    stage = beginning_with(stage, spec, origin.params)
  served = {name: value for name, value in model.items() if name not in spec.critics}
  about = About(settings.stage, served, config, emotions=schema.EMOTIONS, **found.about)
  documents = {'about': about._asdict(), 'statistics': found.statistics.to_json()}
  begun = _begun(settings, served, origin, directory) if origin else None

  def begin(step: int) -> Writer:
    # Only now is it known that these records belong to this workdir.
    if jax.process_index() == 0:
      workdir.write_json(directory / 'config.json', documents['about'])
      workdir.write_json(directory / 'statistics.json', documents['statistics'])
      if begun and not step:
        workdir.write_json(directory / workdir.INIT_FROM, begun)
    return Writer(directory, step, began)

  size = settings.data.batch_size
  readable = batches.Tolerant(found.train, found.example, settings.faults.bad_share)
  training = batches.Batches(readable, readable.example, size, settings.seed, found.groups)
  with checkpoints.Checkpoints(
    directory / workdir.CHECKPOINTS, settings.keep, settings.keep_every
  ) as saved:
    results = loop.fit(
      loop.Run(
        stage=stage,
        batches=training,
        evaluation=batches.InOrder(found.test, found.example, size, settings.evaluation.batches),
        schedule=loop.Schedule(
          settings.steps, settings.save_every, settings.evaluation.every, settings.log_every
        ),
        checkpoints=saved,
        open_writer=begin,
        mesh=mesh,
        seed=settings.seed,
        mode=settings.mode,
        copied=names(settings.copied),
        fingerprint='-'.join((found.fingerprint, *([origin.digest] if origin else []))),
        documents=documents,
        faults=settings.faults,
        rates={name: optimizers.rate(o) for name, o in settings.optimizers.items()},
        progress=progress,
        profile=Profile(directory / 'profile', *profile),
      )
    )
  results = {**last_metrics(directory), **results}  # a finished run is only evaluated again
  if jax.process_index() == 0:
    workdir.write_json(directory / 'final.json', {'step': settings.steps, **results})
  return results


def read(config: Mapping[str, Any]) -> Settings:
  """Reads a whole config, down to the last field of its stage's networks and objective.

  Raises InputError, see `settings.read`.
  """
  config = _plain(config)
  check_choice('config.stage =', config.get('stage', ''), STAGES)
  spec = STAGES[config['stage']]
  settings = settings_lib.read(config, examples.of(spec.name).Data)
  model = dict(settings.model)
  for name, critic in spec.critics.items():
    settings_lib.check(critic, model.pop(name, {}), f'model.{name}')
  settings_lib.check(spec.generator, model, 'model', without=spec.sizes)
  settings_lib.check(spec.objective, settings.loss, 'loss')
  return settings


def make_stage(settings: Settings, model: Mapping[str, Any], **assets: Any) -> Stage:
  """The stage of a config; `model` are its keyword arguments with all sizes filled in."""
  axis = sharding.AXIS if settings.mode == 'pmap' else None
  chains = {name: optimizers.make(o, axis) for name, o in settings.optimizers.items()}
  spec = STAGES[settings.stage]
  memory = Memory(settings.accumulate, settings.remat)
  return spec.make(model, settings.loss, chains, settings.ema_decay, memory, **assets)


def check_batch(settings: Settings, devices: int) -> None:
  """Raises InputError unless each device gets as many examples of each part of a batch."""
  size, parts = settings.data.batch_size, settings.accumulate
  if size % (devices * parts):
    each = f' times {parts} parts (config.accumulate)' if parts > 1 else ''
    raise InputError(
      f'got config.data.batch_size = {size}, expected a multiple of the {devices} devices{each}'
    )


def names(text: str) -> list[str]:
  """'a,b.c' -> ['a', 'b.c']."""
  return [name for name in text.split(',') if name]


def _begun(
  settings: Settings, model: Mapping[str, Any], origin: origins.Origin, directory: Path
) -> dict[str, Any]:
  """What of the origin is loaded and what is not; says it too where the run begins."""
  spec = STAGES[settings.stage]
  found = begun_with(spec, spec.generator(**model), origin.params)
  new = ['optimizer', 'step', *found['new']]
  if not steps.find(directory / workdir.CHECKPOINTS) and jax.process_index() == 0:
    adapted = f', adapted: {", ".join(found["adapted"])}' if found['adapted'] else ''
    sys.stderr.write(
      f'{settings.stage} begins with {settings.init_from}: {len(found["loaded"])} arrays of the '
      f'generator loaded{adapted}; new: {", ".join(new)} ({directory / workdir.INIT_FROM})\n'
    )
  moments = 'of the origin, places of the records' if origin.statistics else 'of the records'
  return {'from': settings.init_from, 'digest': origin.digest, **found, 'new': new,
          'average': 'a copy of the generator', 'statistics': moments}  # fmt: skip


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
  """As JSON would have it: plain dictionaries and lists, references resolved."""
  to_dict = getattr(config, 'to_dict', None)
  values = to_dict() if to_dict else dict(config)
  return json.loads(json.dumps(values))


def _check_resume(config: Mapping[str, Any], directory: Path) -> None:
  """A run that goes on must be the same run. A key that is new since it was begun is filled in."""
  if not steps.find(directory / workdir.CHECKPOINTS):
    if known := workdir.last_known_step(directory):
      raise InputError(
        f'got {directory} without a checkpoint, although it knows one of step {known}; put '
        f'{workdir.CHECKPOINTS}/ back, or take a new workdir to begin at step 0'
      )
    return
  before = trees.flatten(workdir.read_config(directory))
  now = trees.flatten(config)
  for name in sorted(before.keys() | now.keys()):
    if name not in before:
      _logger.info('config.%s = %r is new since %s was begun', name, now[name], directory)
    elif before[name] != now.get(name) and name not in settings_lib.FREE:
      raise InputError(
        f'got config.{name} = {now.get(name)!r}, expected {before[name]!r} as when {directory} was '
        'begun; take a new workdir for another config'
      )
