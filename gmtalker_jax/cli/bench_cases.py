"""What `gmtalker bench` times: the training's own step and sampling, and their twins in PyTorch."""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax import speech
from gmtalker_jax.cli import shipped
from gmtalker_jax.core import flops, rng, sharding
from gmtalker_jax.data import schema
from gmtalker_jax.stages import STAGES
from gmtalker_jax.train import plan, programs, run

OURS = 'ours'
# size -> (variant of the configs, changes that let it run on a desk, frames of a sampled clip)
SIZES: dict[str, tuple[str, dict[str, dict[str, Any]], int]] = {
  'smoke': ('smoke', {}, 8),
  'demo': ('demo', {}, 250),
  'full': (
    '',
    {
      'expression': {'data.batch_size': 8},
      'motion': {'data.batch_size': 8},
      'portrait': {'data.batch_size': 1, 'model.output_size': 256},
    },
    250,
  ),
}


class Work(NamedTuple):
  """One thing that is done in several ways."""

  stage: str
  size: str
  name: str
  about: str  # what it is done with
  ways: dict[str, Callable[[], object]]  # OURS first
  memory: dict[str, Callable[[], int]]  # bytes beyond weights and batch
  flops: float  # as the program is written
  compiled: float  # as the compiler counts what it made of it


def cases(stage: str, size: str, ways: list[str]) -> Iterator[Work]:
  """The works of a stage at a size; `ways` of `export.twin_training`."""
  from gmtalker_jax.export import twin_training

  variant, changes, frames = SIZES[size]
  config = shipped.module(f'configs.{stage}').get_config(variant)
  config.update_from_flattened_dict(changes.get(stage, {}))
  settings, spec, seed = run.read(config), STAGES[stage], config.seed
  sizes = {
    'speech_dim': speech.dimension(speech.DEFAULT), 'subjects': 8, 'latent_dim': 96,
    'expression_dim': len(schema.EXPRESSION_NAMES), 'motion_dim': len(schema.MOTION_NAMES),
  }  # fmt: skip
  model = {**settings.model, **{name: sizes[name] for name in spec.sizes}}
  ours = run.make_stage(settings, model)
  batch = _filled(plan.abstract_batch(settings, sizes, settings.data.batch_size))
  mesh = sharding.make_mesh(jax.devices()[:1])
  like = programs.abstract_state(ours, batch, seed, mesh)
  state = programs.first_state(ours, batch, seed, like)
  params = jax.tree.map(np.array, jax.device_get(state.params))  # the step donates its state
  fields = {k: v for k, v in model.items() if k not in spec.critics}
  generator = spec.generator(**fields)
  twins = {
    way: twin_training.Twins(
      stage, model, settings.loss, settings.optimizers, settings.ema_decay, params, way
    )
    for way in ways
    if stage == 'portrait' or way != twin_training.PUBLISHED
  }
  names = list(batch.__dataclass_fields__)
  placed = {way: t.place({n: getattr(batch, n) for n in names}) for way, t in twins.items()}
  where = sharding.place_batch(batch, mesh)
  about = f'batch {settings.data.batch_size}, ' + (
    f'{model["input_size"]} to {model["output_size"]} pixels'
    if stage == 'portrait'
    else f'{settings.data.frames} frames'
  )

  def work(name, program, theirs, about=about):
    """`program` is (compiled, flops, call)."""
    compiled, count, call = program
    sizes = compiled.memory_analysis()
    used = sizes.temp_size_in_bytes + sizes.output_size_in_bytes - sizes.alias_size_in_bytes
    memory = {OURS: lambda: used}
    for way, one in theirs.items():
      memory[way] = functools.partial(twin_training.peak_memory, one)
    made = compiled.cost_analysis() or {}
    return Work(
      stage, size, name, about, {OURS: call, **theirs}, memory, count, made.get('flops', 0.0)
    )

  def step(name):
    return {way: functools.partial(getattr(t, name), placed[way]) for way, t in twins.items()}

  yield work('train step', _step(ours, seed, mesh, like, state, where), step('step'))
  served = jax.device_put(params['generator'])
  if stage == 'portrait':
    painted = spec.inputs(generator, jax.tree.map(jnp.asarray, batch))
    program = _program(lambda p, *a: generator.apply({'params': p}, *a), served, *painted)
    yield work('sampling', program, step('paint'))
    return
  rows = np.random.default_rng(0).normal(size=(1, 2 * frames, sizes['speech_dim']))
  rows = rows.astype(np.float32)
  emotion = np.full((1, frames, len(schema.EMOTIONS)), 1 / len(schema.EMOTIONS), np.float32)
  key, given = rng.key_for(0, 'bench'), (emotion,) if stage == 'expression' else ()

  def sample(params, *args):
    return generator.apply({'params': params}, *args, method='sample')

  theirs = {  # frame by frame in Python: for a compiler each frame would be another program
    way: functools.partial(t.sample, *map(_tensor, (rows, emotion)))
    for way, t in twins.items()
    if way != twin_training.COMPILED
  }
  program = _program(sample, served, rows, *given, key)
  yield work('sampling', program, theirs, f'one clip of {frames} frames')


def _tensor(array: np.ndarray) -> Any:
  from gmtalker_jax.export import twin_training

  return twin_training.tensor(array)


def _step(stage, seed, mesh, like, state, batch):
  """The step as `gmtalker train` runs it; its state is donated and goes on."""
  step: Any = programs.train_step(stage, seed, mesh, 'jit', like)
  traced = step.trace(like, batch)
  compiled = traced.lower().compile()

  def call():
    nonlocal state
    state, metrics = compiled(state, batch)
    return metrics  # that are there when the state is

  return compiled, flops.count(traced.jaxpr), call


def _program(function, *args):
  traced = jax.jit(function).trace(*args)
  compiled = traced.lower().compile()
  args = jax.device_put(args)
  return compiled, flops.count(traced.jaxpr), lambda: compiled(*args)


def _filled(like: Any) -> Any:
  """A batch of random numbers, all of it valid and labelled."""
  numbers = np.random.default_rng(0)
  batch = jax.tree.map(lambda x: numbers.normal(size=x.shape).astype(np.float32), like)
  changes: dict[str, np.ndarray] = {'mask': np.ones(like.mask.shape, np.float32)}
  if hasattr(like, 'emotion'):
    rows, emotions = like.emotion.shape
    changes['emotion'] = np.eye(emotions, dtype=np.float32)[np.arange(rows) % emotions]
  if hasattr(like, 'subject'):
    changes['subject'] = np.zeros(like.subject.shape, np.int32)
    changes['labelled'] = np.ones(like.labelled.shape, np.float32)
  return batch.replace(**changes)


def ways(compiled: bool, published: bool) -> list[str]:
  """The names of the ways in PyTorch."""
  from gmtalker_jax.export import twin_training as t

  return [t.EAGER, t.TUNED, *([t.COMPILED] * compiled), *([t.PUBLISHED] * published)]
