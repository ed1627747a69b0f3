"""The expression stage: GMEG learns its evidence bound (method 2.4, 2.5)."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Annotated, Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp

from gmtalker_jax.core import distributions, rng
from gmtalker_jax.core.arrays import masked_mean
from gmtalker_jax.core.bounds import Amount, OneOf, Positive, Share, Whole
from gmtalker_jax.core.errors import InputError, check_choice
from gmtalker_jax.core.means import Mean
from gmtalker_jax.losses import adversarial, reconstruction, variational
from gmtalker_jax.models import lip_sync
from gmtalker_jax.models.expression import ExpressionGenerator
from gmtalker_jax.models.lip_sync import LipSync
from gmtalker_jax.stages import feedback
from gmtalker_jax.stages.base import (
  WHOLE,
  Memory,
  Metrics,
  Optimizers,
  Phase,
  Spec,
  Stage,
  adopt_all,
  make_init,
  make_step,
  needed,
)
from gmtalker_jax.types import ExpressionBatch, Params

LABEL_MODES = ('label', 'posterior', 'semi')
SOFT_LABELS = ('interpolation', 'weighted')
ELBO_SCALES = ('mean', 'sum')
ONE_HOT = 0.999  # a largest weight above this is a plain label


@dataclasses.dataclass(frozen=True)
class Objective:
  """Weights and schedules (method 8.1). Schedules count training steps."""

  rec: Amount
  velocity: Amount  # of frame differences; not in the paper
  cond_start: Amount
  cond: Amount
  cond_steps: Whole
  w: Amount
  emo: Amount
  label_mode: Annotated[
    str, OneOf(LABEL_MODES)
  ]  # label | posterior | semi: where r_k comes from, see `_terms`
  label_free_bits: Amount  # nats of the cross-entropy of a label that cost nothing
  uniform_free_bits: Amount  # shares of log K that KL(r || U) of no label may have for nothing
  soft_labels: Annotated[
    str, OneOf(SOFT_LABELS)
  ]  # interpolation | weighted: L_cond of labels between emotions
  elbo_scale: Annotated[
    str, OneOf(ELBO_SCALES)
  ]  # mean | sum: all weights 1, rec = Σ error² / (2 sigma²)
  sigma: Positive  # of the likelihood, for 'sum'
  scheduled_sampling: Share  # final share of own outputs in the feedback
  scheduled_sampling_steps: Whole
  feedback_dropout: Share
  feedback_noise: Amount  # standard deviations
  subject_dropout: Share  # trains the mean person, used for new people
  sync: Amount  # of -log p(lips and sound belong together); 0 = no network that judges it
  sync_start: Whole  # steps that it learns from truth before anybody listens to it

  def __post_init__(self):
    check_choice('label_mode', self.label_mode, LABEL_MODES)
    check_choice('soft_labels', self.soft_labels, SOFT_LABELS)
    check_choice('elbo_scale', self.elbo_scale, ELBO_SCALES)


def make(
  model: Mapping[str, Any],
  loss: Mapping[str, Any],
  optimizers: Optimizers,
  ema_decay: float,
  memory: Memory = WHOLE,
) -> Stage:
  """Builds the stage.

  Args:
    model: fields of `ExpressionGenerator`; `sync`, a mapping of fields of `LipSync`.
    loss: fields of `Objective`.
    optimizers: 'generator' and, with a loss of lip-sync, 'sync'.
    ema_decay: of the weights that are served.
    memory: how a step saves it.

  Raises:
    InputError: an optimizer is missing; later, windows too short for `loss.sync`.
  """
  model = dict(model)
  sync = LipSync(**model.pop('sync', {}))
  generator, objective = ExpressionGenerator(**model), Objective(**loss)
  optimizers = needed(optimizers, ('generator', 'sync') if objective.sync else ('generator',))

  def init_params(key, batch: ExpressionBatch):
    params = {'generator': generator.init(key, *inputs(generator, batch))['params']}
    if objective.sync:
      frames = batch.mask.shape[1]
      if frames <= lip_sync.WINDOW:  # else there is no other moment to take a wrong sound from
        raise InputError(
          f'got loss.sync with windows of {frames} frames, expected more than {lip_sync.WINDOW}, '
          'set data.frames'
        )
      own = jax.random.fold_in(key, 1)  # the generator begins as it does without
      params['sync'] = sync.init(own, batch.expression, batch.speech)['params']
    return params

  def train_loss(params, stats, batch, key, step):
    del stats
    dropout, own = jax.random.split(key)

    def out_of_sync(output: jax.Array) -> jax.Array:
      logits = sync.apply({'params': params['sync']}, output, batch.speech)
      return adversarial.generator_loss(cast('jax.Array', logits))

    total, metrics = nn.apply(_loss, generator)(
      {'params': params['generator']}, batch, own, step, objective,
      out_of_sync if objective.sync else None, rngs={'dropout': dropout},
    )  # fmt: skip
    return total, (metrics, {})

  def sync_loss(params, stats, batch, key, step):
    del stats, step
    logits = nn.apply(_pairs, sync)({'params': params['sync']}, batch, key)
    right, wrong, valid = cast('tuple[jax.Array, ...]', logits)
    loss = adversarial.discriminator_loss(right, wrong)
    told = Mean.of((right > wrong).astype(jnp.float32), valid)
    return masked_mean(loss, valid), ({'loss': Mean.of(loss, valid), 'told': told}, {})

  def evaluate(params, batch, key) -> Metrics:
    return nn.apply(_evaluate, generator)({'params': params['generator']}, batch, key)

  phases = [Phase('generator', 'generator', train_loss)]
  if objective.sync:
    phases.append(Phase('sync', 'sync', sync_loss))
  return Stage(
    'expression',
    ('generator',),
    make_init(init_params, optimizers, ('generator',)),
    make_step(phases, optimizers, ema_decay, memory),
    evaluate,
  )


def blank(generator: ExpressionGenerator, frames: int = 2) -> ExpressionBatch:
  """A batch of one clip of so many frames that holds nothing."""
  emotion = jnp.full((1, generator.emotions), 1 / generator.emotions)
  return ExpressionBatch(
    jnp.zeros((1, frames, generator.expression_dim)),
    jnp.zeros((1, 2 * frames, generator.speech_dim)),
    emotion, jnp.zeros(1), jnp.zeros(1, jnp.int32), jnp.ones((1, frames)),
  )  # fmt: skip


def inputs(generator: ExpressionGenerator, batch: ExpressionBatch) -> tuple:
  """What the generator's `__call__` takes of a batch."""
  del generator
  return batch.expression, batch.speech, batch.mask, batch.subject


def adopt(own: Params, given: Params) -> Params:
  """As `adopt_all`, but these are other people: each begins as the mean of those known."""
  people = own['subject_table']['embedding'].shape[0]
  mean = jnp.asarray(given['subject_table']['embedding']).mean(0)
  return adopt_all(own, {**given, 'subject_table': {'embedding': jnp.tile(mean, (people, 1))}})


SPEC = Spec(
  name='expression',
  generator=ExpressionGenerator,
  objective=Objective,
  sizes=('expression_dim', 'speech_dim', 'subjects'),
  blank=blank,
  inputs=inputs,
  make=make,
  curves=(('rec', 'rec_free'), ('responsibility_accuracy',), ('loss',)),
  critics={'sync': LipSync},
  adopt=adopt,
)


def _loss(
  generator,
  batch: ExpressionBatch,
  key,
  step,
  objective: Objective,
  out_of_sync: Callable[[jax.Array], jax.Array] | None = None,
):
  keys = jax.random.split(key, 4)
  valid = batch.mask.max(1)
  posterior = generator.encode(batch.expression, batch.speech, batch.mask)
  z = distributions.sample(posterior.z, rng.normal(keys[0], posterior.z.mean.shape))
  w = distributions.sample(posterior.w, rng.normal(keys[1], posterior.w.mean.shape))
  components = generator.mixture(w)
  log_r = distributions.log_responsibilities(z, components)

  hidden = rng.bernoulli(keys[2], objective.subject_dropout, batch.subject.shape)
  subject = generator.embed(jnp.where(hidden, -1, batch.subject), emotion=batch.emotion)

  def run(frames, keep):
    return generator.decode(frames, batch.speech, z, batch.mask, subject, keep)

  output = feedback.decode(
    run, batch.expression, batch.mask, keys[3], objective.feedback_dropout,
    objective.feedback_noise, _own_share(objective, step),
  )  # fmt: skip

  labels = generator.simplex(batch.emotion)
  terms = _terms(objective, labels, batch.labelled, posterior, components, log_r)
  counted = _counted(objective, batch)
  error = reconstruction.squared_error(batch.expression, output, batch.mask)
  velocity = reconstruction.velocity_error(batch.expression, output, batch.mask)
  total = _total(objective, step, batch, error, velocity, terms, counted)
  heard = {}
  if out_of_sync:
    unlike, seen = out_of_sync(output), lip_sync.windows(batch.mask)
    heard['sync'] = Mean.of(unlike, seen)
    weight = jnp.where(step < objective.sync_start, 0.0, objective.sync)
    total += weight * masked_mean(unlike, seen)
  aggregate = (jnp.exp(log_r) * valid[:, None]).sum(0) / jnp.maximum(valid.sum(), 1.0)
  return total, {
    'loss': total,
    'rec': Mean.of(error, batch.mask),
    'velocity': velocity,
    'emo_aggregate': variational.uniform_kl(jnp.log(aggregate + 1e-9)),
    **{name: Mean.of(value, counted[name]) for name, value in terms.items()},
    **heard,
  }


def _pairs(sync: LipSync, batch: ExpressionBatch, key):
  """Logits of lips beside their own sound and beside that of another moment, and which count."""
  lips, sound = sync.lips(batch.expression), sync.sound(batch.speech)
  valid, count = lip_sync.windows(batch.mask), lips.shape[1]
  apart = min(lip_sync.WINDOW, count // 2)  # windows that share no frame, if there are such
  shifts = rng.by_row(
    lambda k: jax.random.randint(k, (), apart, count - apart + 1), key, lips.shape[0]
  )
  moved = (jnp.arange(count)[None] + shifts[:, None]) % count
  other = jnp.take_along_axis(sound, moved[..., None], 1)
  both = valid * jnp.take_along_axis(valid, moved, 1)
  return sync.agreement(lips, sound), sync.agreement(lips, other), both


def _counted(objective: Objective, batch: ExpressionBatch) -> dict[str, jax.Array]:
  """Which examples [B] a term is averaged over: with 'label' a clip without one has no L_cond."""
  valid = batch.mask.max(1)
  told = valid * batch.labelled if objective.label_mode == 'label' else valid
  return {'kl_cond': told, 'kl_w': valid, 'emo': told}


def _terms(objective: Objective, labels, labelled, posterior, components, log_r):
  """L_cond, L_w and L_emo per example [B], by label mode (method 2.5).

  r is the label ('label'), the responsibilities ('posterior'), or the label where there is one and
  the responsibilities elsewhere ('semi').
  """
  modes = {'label': jnp.ones_like(labelled), 'posterior': jnp.zeros_like(labelled)}
  known = modes.get(objective.label_mode, labelled) > 0
  uniform = variational.free_bits(
    variational.uniform_kl(log_r), objective.uniform_free_bits * jnp.log(log_r.shape[-1])
  )
  crossed = variational.cross_entropy(labels, log_r)
  labelled = variational.conditional_kl(posterior.z, components, labels)
  if objective.soft_labels == 'interpolation':
    labelled = variational.interpolated_kl(posterior.z, components, labels)
    crossed = jnp.where(labels.max(-1) > ONE_HOT, crossed, 0.0)  # a blend belongs to no component
  marginal = variational.conditional_kl(posterior.z, components, jnp.exp(log_r))
  crossed = variational.free_bits(crossed, objective.label_free_bits)
  return {
    'kl_cond': jnp.where(known, labelled, marginal),
    'kl_w': variational.standard_kl(posterior.w),
    'emo': jnp.where(known, crossed, uniform),
  }


def _total(objective: Objective, step, batch: ExpressionBatch, error, velocity, terms, counted):
  means = {name: masked_mean(value, counted[name]) for name, value in terms.items()}
  if objective.elbo_scale == 'sum':
    squares = (error * batch.mask).sum() * batch.expression.shape[-1]
    clips = jnp.maximum(batch.mask.max(1).sum(), 1.0)
    return squares / (2 * objective.sigma**2) / clips + sum(means.values())
  cond = variational.ramp(step, objective.cond_start, objective.cond, objective.cond_steps)
  return (
    objective.rec * masked_mean(error, batch.mask)
    + objective.velocity * velocity
    + cond * means['kl_cond']
    + objective.w * means['kl_w']
    + objective.emo * means['emo']
  )


def _own_share(objective: Objective, step):
  if not objective.scheduled_sampling:
    return 0.0
  return variational.ramp(
    step, 0.0, objective.scheduled_sampling, objective.scheduled_sampling_steps
  )


def _evaluate(generator, batch: ExpressionBatch, key) -> Metrics:
  """Per-frame errors in three ways of running, and the state of the latent space.

  `rec`: truth fed back. `rec_free`: own outputs fed back. `rec_sampled`: as inference does, z
  from the mixture by the emotion weights alone. The first two take the posterior mean of z. What
  asks for a label counts labelled clips only.
  """
  valid = batch.mask.max(1)
  told = valid * batch.labelled
  posterior = generator.encode(batch.expression, batch.speech, batch.mask)
  components = generator.mixture(posterior.w.mean)
  log_r = distributions.log_responsibilities(posterior.z.mean, components)
  labels = generator.simplex(batch.emotion)
  subject = generator.embed(batch.subject, emotion=batch.emotion)
  z = posterior.z.mean
  forced = generator.decode(batch.expression, batch.speech, z, batch.mask, subject)
  free = generator.rollout(batch.speech, z, batch.mask, subject)
  sampled, _ = generator.sample(
    batch.speech, batch.emotion, key, subject=batch.subject, mask=batch.mask
  )

  def error(output, mask=batch.mask):
    return Mean.of(reconstruction.squared_error(batch.expression, output, batch.mask), mask)

  right = (jnp.argmax(log_r, -1) == jnp.argmax(labels, -1)).astype(jnp.float32)
  return {
    'rec': error(forced),
    'rec_free': error(free),
    'rec_sampled': error(sampled, batch.mask * batch.labelled[:, None]),
    'kl_cond': Mean.of(variational.interpolated_kl(posterior.z, components, labels), told),
    'kl_w': Mean.of(variational.standard_kl(posterior.w), valid),
    'kl_emo': Mean.of(variational.uniform_kl(log_r), valid),
    'responsibility_accuracy': Mean.of(right, told),
  }
