"""The portrait stage: paint, judge, and every now and then restrain the judge (method 4.4)."""

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp

from gmtalker_jax.core import rng
from gmtalker_jax.core.bounds import Amount, Count, Share, Whole
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.core.means import Mean
from gmtalker_jax.losses import adversarial, pictures
from gmtalker_jax.models.discriminator import Discriminator
from gmtalker_jax.models.perceptual import Weights, distance
from gmtalker_jax.models.portrait import PortraitGenerator
from gmtalker_jax.stages.base import (
  WHOLE,
  Memory,
  Optimizers,
  Phase,
  Spec,
  Stage,
  make_init,
  make_step,
  needed,
)
from gmtalker_jax.types import Params, PortraitBatch


@dataclasses.dataclass(frozen=True)
class Objective:
  """Weights of the terms (method 4.4); 0 switches one off."""

  l1: Amount
  pyramid: Amount  # L1 over the bands of a pyramid; sharpens cheaply
  pyramid_levels: Count
  perceptual: Amount  # LPIPS on VGG16
  perceptual_crop: Whole  # pixels of the random square that it sees of each picture; 0 = all
  perceptual_within: Share  # of the sides, about the middle, that the square lies in; 1 = all
  adversarial: Amount  # 0 = no discriminator at all
  paired: bool  # the discriminator sees the rendering beside the picture
  r1: Amount  # gamma
  r1_every: Count
  path_length: Amount  # of StyleGAN2: every style moves the picture as far as others
  path_length_every: Count
  path_length_decay: Share  # of the mean length that lengths are compared with


def make(
  model: Mapping[str, Any],
  loss: Mapping[str, Any],
  optimizers: Optimizers,
  ema_decay: float,
  memory: Memory = WHOLE,
  perceptual: Weights | None = None,
) -> Stage:
  """Builds the portrait stage.

  Args:
    model: fields of `PortraitGenerator`; `discriminator`, a mapping of fields of `Discriminator`,
      is needed with an adversarial loss only.
    loss: fields of `Objective`.
    optimizers: 'generator' and, with an adversarial loss, 'discriminator'.
    ema_decay: of the weights that are served.
    memory: how a step saves it.
    perceptual: weights of VGG16 and LPIPS (`models.perceptual.check`), needed by `loss.perceptual`.

  Raises:
    InputError: an optimizer or the perceptual weights are missing.
  """
  model = dict(model)
  discriminator = Discriminator(**model.pop('discriminator', {}))
  generator, objective = PortraitGenerator(**model), Objective(**loss)
  names = ('generator', 'discriminator') if objective.adversarial else ('generator',)
  optimizers = needed(optimizers, names)
  if objective.perceptual and perceptual is None:
    raise InputError(
      f'got loss.perceptual = {objective.perceptual} without VGG16 weights, expected both or none, '
      'set it to 0 or pass the weights'
    )

  def shown_to_critic(image: jax.Array, batch: PortraitBatch) -> jax.Array:
    return _pair(image, batch.rendering) if objective.paired else image

  def init_params(key: jax.Array, batch: PortraitBatch) -> Params:
    keys = jax.random.split(key)
    params = {'generator': generator.init(keys[0], *inputs(generator, batch))['params']}
    if objective.adversarial:
      pair = shown_to_critic(batch.image, batch)
      params['discriminator'] = discriminator.init(keys[1], pair)['params']
    return params

  def paint(
    params: Params,
    batch: PortraitBatch,
    key: jax.Array,
    noise: bool = True,
    shift: jax.Array | None = None,
  ) -> jax.Array:
    style_key, noise_key = jax.random.split(key)
    z_style = rng.normal(style_key, (batch.image.shape[0], generator.style_dim))
    args = (batch.rendering, batch.emotion, batch.latent, z_style)
    args = (*args, noise_key if noise else None, shift)
    return cast('jax.Array', generator.apply({'params': params['generator']}, *args))

  def judge(params: Params, image: jax.Array, batch: PortraitBatch) -> jax.Array:
    pair = shown_to_critic(image, batch)
    return cast('jax.Array', discriminator.apply({'params': params['discriminator']}, pair))

  def generator_phase(params, stats, batch, key, step):
    del stats, step
    key, crop_key = jax.random.split(key)
    image = paint(params, batch, key)
    terms = {'l1': pictures.absolute(image, batch.image)}
    if objective.pyramid:
      terms['pyramid'] = pictures.pyramid(image, batch.image, objective.pyramid_levels)
    if objective.perceptual:
      assert perceptual is not None  # refused above
      pair = (image, batch.image)
      where = objective.perceptual_crop, objective.perceptual_within
      seen, truth = pictures.crops(crop_key, pair, *where)
      terms['perceptual'] = distance(perceptual, seen, truth)
    if objective.adversarial:
      terms['adversarial'] = adversarial.generator_loss(judge(params, image, batch))
    metrics = {name: Mean.of(value, batch.mask) for name, value in terms.items()}
    total = sum(getattr(objective, name) * _mean(m) for name, m in metrics.items())
    return total, ({'loss': total, **metrics}, {})

  def discriminator_phase(params, stats, batch, key, step):
    del stats, step
    fake = judge(params, jax.lax.stop_gradient(paint(params, batch, key)), batch)
    real = judge(params, batch.image, batch)
    loss = Mean.of(adversarial.discriminator_loss(real, fake), batch.mask)
    metrics = {
      'loss': loss,
      'real': Mean.of(jnp.asarray(real > 0, jnp.float32), batch.mask),
      'fake': Mean.of(jnp.asarray(fake < 0, jnp.float32), batch.mask),
    }
    return _mean(loss), (metrics, {})

  def r1_phase(params, stats, batch, key, step):
    del stats, key, step
    norm, _ = adversarial.r1_penalty(lambda image: judge(params, image, batch), batch.image)
    norm = Mean.of(norm, batch.mask)
    return objective.r1 / 2 * _mean(norm), ({'gradient': norm}, {})

  def path_phase(params, stats, batch, key, step):
    del step
    key, direction = jax.random.split(key)
    rest = jnp.zeros((batch.image.shape[0], generator.style_dim))
    lengths = adversarial.path_lengths(
      lambda shift: paint(params, batch, key, shift=shift), rest, direction
    )
    length = Mean.of(lengths, batch.mask)
    share = objective.path_length_decay
    usual = share * stats['path_length'] + (1 - share) * _mean(length)
    penalty = Mean.of(jnp.square(lengths - usual), batch.mask)
    metrics = {'length': length, 'penalty': penalty}
    return objective.path_length * _mean(penalty), (metrics, {'path_length': usual})

  def evaluate(params: Params, batch: PortraitBatch, key: jax.Array) -> dict[str, Mean]:
    image = paint(params, batch, key, noise=False)
    rendering = _resize(batch.rendering, batch.image.shape)
    return {
      'psnr': Mean.of(pictures.psnr(image, batch.image), batch.mask),
      'psnr_rendering': Mean.of(pictures.psnr(rendering, batch.image), batch.mask),
      'l1': Mean.of(pictures.absolute(image, batch.image), batch.mask),
    }

  phases = [Phase('generator', 'generator', generator_phase)]
  if objective.adversarial:
    phases.append(Phase('discriminator', 'discriminator', discriminator_phase))
    if objective.r1:
      phases.append(Phase('r1', 'discriminator', r1_phase, objective.r1_every))
  stats = dict
  if objective.path_length:
    phases.append(Phase('path', 'generator', path_phase, objective.path_length_every))
    stats = lambda: {'path_length': jnp.zeros(())}  # noqa: E731
  return Stage(
    name='portrait',
    serves=('generator',),
    init=make_init(init_params, optimizers, ('generator',), stats),
    step=make_step(phases, optimizers, ema_decay, memory),
    evaluate=evaluate,
  )


def blank(generator: PortraitGenerator) -> PortraitBatch:
  """A batch of one black frame."""
  return PortraitBatch(
    rendering=jnp.zeros((1, generator.input_size, generator.input_size, 3)),
    image=jnp.zeros((1, generator.output_size, generator.output_size, 3)),
    emotion=jnp.full((1, generator.emotions), 1 / generator.emotions),
    latent=jnp.zeros((1, generator.latent_dim)),
    mask=jnp.ones(1),
  )


def inputs(generator: PortraitGenerator, batch: PortraitBatch) -> tuple:
  """What the generator's `__call__` takes of a batch; the style is zero."""
  z_style = jnp.zeros((batch.image.shape[0], generator.style_dim))
  return batch.rendering, batch.emotion, batch.latent, z_style


SPEC = Spec(
  name='portrait',
  generator=PortraitGenerator,
  objective=Objective,
  sizes=('latent_dim',),
  blank=blank,
  inputs=inputs,
  make=make,
  curves=(('l1',), ('psnr',), ('loss',)),
  critics={'discriminator': Discriminator},
)


def _pair(image: jax.Array, rendering: jax.Array) -> jax.Array:
  """Joins a picture and its rendering to six channels: D judges whether they belong together."""
  return jnp.concatenate((image, _resize(rendering, image.shape)), -1)


def _resize(rendering: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  if rendering.shape[1:3] == shape[1:3]:
    return rendering
  return jax.image.resize(rendering, (*shape[:3], rendering.shape[-1]), 'linear')


def _mean(mean: Mean) -> jax.Array:
  return mean.total / jnp.maximum(mean.count, 1)
