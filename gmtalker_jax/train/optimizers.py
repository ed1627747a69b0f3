"""Optimizers by name from a config."""

import dataclasses

import optax

from gmtalker_jax.core import sharding
from gmtalker_jax.core.errors import InputError, check_choice


@dataclasses.dataclass(frozen=True)
class Optimizer:
  """What one network is trained with."""

  rate: float  # the highest learning rate
  b1: float
  b2: float
  eps: float
  weight_decay: float  # decoupled, as in AdamW
  clip: float  # largest global norm of the gradient; 0 = any
  warmup: int  # steps of linear warm-up
  schedule: str  # after the warm-up: constant | cosine | exponential
  decay_steps: int  # cosine: steps to `final`; exponential: steps per factor `decay`
  decay: float  # exponential: the factor
  final: float  # cosine: the last rate as a share of `rate`


def make(settings: Optimizer, average_over: str | None = None) -> optax.GradientTransformation:
  """Adam with warm-up, schedule and clipping.

  Args:
    settings: numbers.
    average_over: the mapped axis that gradients are averaged over, in the mode 'pmap'.
  """
  return optax.chain(
    sharding.average_gradients(average_over),
    optax.clip_by_global_norm(settings.clip) if settings.clip else optax.identity(),
    optax.scale_by_adam(settings.b1, settings.b2, settings.eps),
    optax.add_decayed_weights(settings.weight_decay) if settings.weight_decay else optax.identity(),
    optax.scale_by_learning_rate(rate(settings)),
  )


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
