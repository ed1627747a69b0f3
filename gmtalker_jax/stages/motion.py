"""The motion stage: NFMG learns reconstruction and a flow over its latents (method 3)."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gmtalker_jax.core import distributions, rng
from gmtalker_jax.core.bounds import Amount, Share, Whole
from gmtalker_jax.core.means import Mean
from gmtalker_jax.data import schema
from gmtalker_jax.losses import reconstruction, variational
from gmtalker_jax.models.motion import MotionGenerator
from gmtalker_jax.stages import feedback
from gmtalker_jax.stages.base import (
  WHOLE,
  Memory,
  Metrics,
  Optimizers,
  Phase,
  Spec,
  Stage,
  make_init,
  make_step,
)
from gmtalker_jax.types import MotionBatch

DIVERSITY_SAMPLES = 3


@dataclasses.dataclass(frozen=True)
class Objective:
  """Weights and schedules (method 3.4). Schedules count training steps."""

  rec: Amount
  pose: Amount  # relative weights of the coefficients
  blink: Amount
  gaze: Amount
  velocity: Amount
  kl: Amount
  kl_steps: Whole  # annealed from 0
  free_bits: Amount  # nats per latent dimension
  scheduled_sampling: Share  # final share of own outputs in the feedback
  scheduled_sampling_steps: Whole
  feedback_dropout: Share
  feedback_noise: Amount  # standard deviations


def make(
  model: Mapping[str, Any],
  loss: Mapping[str, Any],
  optimizers: Optimizers,
  ema_decay: float,
  memory: Memory = WHOLE,
) -> Stage:
  """Builds the stage from the arguments of `MotionGenerator` and `Objective`."""
  generator, objective = MotionGenerator(**model), Objective(**loss)

  def init_params(key, batch: MotionBatch):
    return {'generator': generator.init(key, *inputs(generator, batch))['params']}

  def train_loss(params, stats, batch, key, step):
    dropout, own = jax.random.split(key)
    total, metrics = nn.apply(_loss, generator)(
      {'params': params['generator']}, batch, own, step, objective, rngs={'dropout': dropout}
    )
    return total, (metrics, {})

  def evaluate(params, batch, key) -> Metrics:
    return nn.apply(_evaluate, generator)({'params': params['generator']}, batch, key, objective)

  phases = [Phase('generator', 'generator', train_loss)]
  return Stage(
    'motion',
    ('generator',),
    make_init(init_params, optimizers, ('generator',)),
    make_step(phases, optimizers, ema_decay, memory),
    evaluate,
  )


def blank(generator: MotionGenerator, frames: int = 0) -> MotionBatch:
  """A batch of one clip of so many frames, by default two latents, that holds nothing."""
  frames = frames or 2 * generator.stride
  return MotionBatch(
    jnp.zeros((1, frames, generator.motion_dim)),
    jnp.zeros((1, 2 * frames, generator.speech_dim)),
    jnp.ones((1, frames)),
  )


def inputs(generator: MotionGenerator, batch: MotionBatch) -> tuple:
  """What the generator's `__call__` takes of a batch."""
  del generator
  return batch.motion, batch.speech, batch.mask


SPEC = Spec(
  name='motion',
  generator=MotionGenerator,
  objective=Objective,
  sizes=('motion_dim', 'speech_dim'),
  blank=blank,
  inputs=inputs,
  make=make,
  curves=(('rec', 'rec_free'), ('kl',), ('loss',)),
)


def _loss(generator, batch: MotionBatch, key, step, objective: Objective):
  keys = jax.random.split(key, 2)
  posterior = generator.encode(batch.motion, batch.speech, batch.mask)
  drawn = distributions.sample(posterior, rng.normal(keys[0], posterior.mean.shape))
  kl, floored = _divergence(generator, posterior, drawn, batch, objective)
  latents = drawn
  if generator.flow_objective == 'posterior':
    latents, _ = generator.push(drawn, batch.speech, batch.mask)

  def run(frames, keep):
    return generator.decode(frames, batch.speech, latents, batch.mask, keep)

  share = 0.0
  if objective.scheduled_sampling:
    share = variational.ramp(
      step, 0.0, objective.scheduled_sampling, objective.scheduled_sampling_steps
    )
  output = feedback.decode(
    run, batch.motion, batch.mask, keys[1], objective.feedback_dropout, objective.feedback_noise,
    share,
  )  # fmt: skip
  weights = _weights(objective, batch.motion.shape[-1])
  rec = reconstruction.mean_squared_error(batch.motion, output, batch.mask, weights)
  velocity = reconstruction.velocity_error(batch.motion, output, batch.mask, weights)
  scale = variational.ramp(step, 0.0, objective.kl, objective.kl_steps)
  total = objective.rec * rec + objective.velocity * velocity + scale * floored
  return total, {'loss': total, 'rec': rec, 'velocity': velocity, 'kl': kl}


def _divergence(generator, posterior, drawn, batch: MotionBatch, objective: Objective):
  """KL per valid latent dimension, plain and with free bits."""
  mask = generator.latent_mask(batch.mask)
  count = jnp.maximum(mask.sum(), 1.0)
  if generator.flow_objective == 'prior':
    prior = generator.prior_log_density(drawn, batch.speech, batch.mask)
    each = variational.flow_kl(posterior, drawn, prior, mask)
    kl = each.sum() / (count * generator.latent_dim)
    return kl, variational.free_bits(kl, objective.free_bits)
  # Invariant under the bijection, so it is taken where it has a closed form.
  each = distributions.kl_per_dimension(posterior, distributions.standard_like(posterior))
  channels = (each * mask[..., None]).sum((0, 1)) / count
  return channels.mean(), variational.free_bits(channels, objective.free_bits).mean()


def _weights(objective: Objective, dimension: int) -> jax.Array:
  """Relative weight of every motion coefficient, by the layout of data/schema.py."""
  weights = jnp.full(len(schema.MOTION_NAMES), objective.pose)
  weights = weights.at[schema.BLINK].set(objective.blink)
  return weights.at[schema.GAZE].set(objective.gaze)[:dimension]


def _evaluate(generator, batch: MotionBatch, key, objective: Objective) -> Metrics:
  """`rec` with truth fed back, `rec_free` with own outputs, the flow's log-density per frame,
  and `diversity`: mean distance per frame of motions drawn for the same speech.
  """
  valid = generator.latent_mask(batch.mask)
  dims = valid.sum(1) * generator.latent_dim
  posterior = generator.encode(batch.motion, batch.speech, batch.mask)
  keys = jax.random.split(key, DIVERSITY_SAMPLES + 1)
  drawn = distributions.sample(
    posterior, distributions.row_noise(keys[0], posterior.mean.shape, rows=2)
  )
  mean, latents = posterior.mean, drawn
  if generator.flow_objective == 'posterior':
    mean, _ = generator.push(mean, batch.speech, batch.mask)
    latents, _ = generator.push(drawn, batch.speech, batch.mask)
    kl = (distributions.kl(posterior, distributions.standard_like(posterior)) * valid).sum(-1)
    density = generator.prior_log_density(latents, batch.speech, batch.mask)
  else:
    density = generator.prior_log_density(drawn, batch.speech, batch.mask)
    kl = variational.flow_kl(posterior, drawn, density, valid)

  def error(output):
    return Mean.of(reconstruction.squared_error(batch.motion, output, batch.mask), batch.mask)

  sampled = [generator.sample(batch.speech, k, mask=batch.mask) for k in keys[1:]]
  pairs = [(a, b) for i, a in enumerate(sampled) for b in sampled[:i]]
  gaps = [jnp.sqrt(jnp.square(a - b).sum(-1) + 1e-12) for a, b in pairs]
  distance = sum(gaps[1:], gaps[0]) / len(pairs)
  return {
    'rec': error(generator.decode(batch.motion, batch.speech, mean, batch.mask)),
    'rec_free': error(generator.rollout(batch.speech, mean, batch.mask)),
    'kl': Mean(kl.sum(), dims.sum()),
    'log_density': Mean(density.sum(), batch.mask.sum()),
    'diversity': Mean.of(distance, batch.mask),
  }
