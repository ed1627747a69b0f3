"""Optimizers by name from a config."""

import dataclasses
from collections.abc import Hashable, Sequence
from typing import Annotated

import jax
import optax

from gmtalker_jax.core import sharding
from gmtalker_jax.core.bounds import Amount, BelowOne, OneOf, Positive, Whole
from gmtalker_jax.core.errors import InputError, check_choice, did_you_mean
from gmtalker_jax.types import Params


@dataclasses.dataclass(frozen=True)
class Optimizer:
  """What one network is trained with."""

  rate: Positive  # the highest learning rate
  b1: BelowOne
  b2: BelowOne
  eps: Positive
  weight_decay: Amount  # decoupled, as in AdamW
  clip: Amount  # largest global norm of the gradient; 0 = any
  warmup: Whole  # steps of linear warm-up
  schedule: Annotated[
    str, OneOf(('constant', 'cosine', 'exponential'))
  ]  # after the warm-up: constant | cosine | exponential
  decay_steps: Whole  # cosine: steps to `final`; exponential: steps per factor `decay`
  decay: Positive  # exponential: the factor
  final: Amount  # cosine: the last rate as a share of `rate`
  frozen: str  # beginnings of the names of parameters that stay, with commas; '' = none


def make(settings: Optimizer, average_over: str | None = None) -> optax.GradientTransformation:
  """Adam with warm-up, schedule and clipping.

  Args:
    settings: numbers.
    average_over: the mapped axis that gradients are averaged over, in the mode 'pmap'.
  """
  chain = optax.chain(
    sharding.average_gradients(average_over),
    optax.clip_by_global_norm(settings.clip) if settings.clip else optax.identity(),
    optax.scale_by_adam(settings.b1, settings.b2, settings.eps),
    optax.add_decayed_weights(settings.weight_decay) if settings.weight_decay else optax.identity(),
    optax.scale_by_learning_rate(rate(settings)),
  )
  names = [name for name in settings.frozen.split(',') if name]
  if not names:
    return chain
  parts: dict[Hashable, optax.GradientTransformation] = {
    'trained': chain,
    'frozen': optax.set_to_zero(),
  }
  return optax.multi_transform(parts, lambda params: _labels(params, names))


def _labels(params: Params, frozen: Sequence[str]) -> Params:
  """'frozen' or 'trained' for each parameter."""
  paths = [
    jax.tree_util.keystr(path, simple=True, separator='.')
    for path, _ in jax.tree_util.tree_leaves_with_path(params)
  ]
  for name in frozen:
    if not any(path.startswith(name) for path in paths):
      known = sorted({path.split('.')[0] for path in paths})
      raise InputError(f'got frozen={name!r}, which is no parameter{did_you_mean(name, known)}')
  labels = ['frozen' if path.startswith(tuple(frozen)) else 'trained' for path in paths]
  return jax.tree.unflatten(jax.tree.structure(params), labels)


def rate(settings: Optimizer) -> optax.Schedule:
  """The learning rate by step."""
  schedules = {
    'constant': lambda s: optax.constant_schedule(s.rate),
    'cosine': lambda s: optax.cosine_decay_schedule(s.rate, s.decay_steps, s.final),
    'exponential': lambda s: optax.exponential_decay(s.rate, s.decay_steps, s.decay),
  }
  check_choice('schedule', settings.schedule, schedules)
  if settings.schedule != 'constant' and settings.decay_steps < 1:
    raise InputError(
      f'got decay_steps {settings.decay_steps} for the schedule {settings.schedule!r}, '
      'expected at least 1'
    )
  after = schedules[settings.schedule](settings)
  if not settings.warmup:
    return after
  warm = optax.linear_schedule(settings.rate / settings.warmup, settings.rate, settings.warmup)
  return optax.join_schedules([warm, after], [settings.warmup])
