"""The losses of the three stages over their twins in PyTorch, term by term as in stages/.

With them `gmtalker bench` trains both side by side. Whatever is random comes in as `draws`, so that
a test gives both the same and compares gradients. Of the choices of an objective those that every
shipped config makes are here: labels ('label'), blends ('interpolation'), the sum of means ('mean')
and the flow as a prior, and no network judges lip-sync; pictures are judged beside their rendering,
without VGG16, and paths have any length.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.export.gmtalker_torch.expression import Gaussian

Batch = Mapping[str, Tensor]  # fields of the stage's batch; pictures [B, C, H, W]
Draws = Mapping[str, Tensor]
Numbers = Mapping[str, Any]  # config.loss

_CHOICES = {
  'label_mode': 'label', 'soft_labels': 'interpolation', 'elbo_scale': 'mean', 'perceptual': 0,
  'paired': True, 'path_length': 0, 'sync': 0,
}  # fmt: skip
_READINGS = {'flow_objective': 'prior'}


def check(numbers: Numbers, model: Mapping[str, Any]) -> None:
  """Raises InputError for an objective, `config.loss` of `config.model`, that has no twin."""
  for section, values, choices in (('loss', numbers, _CHOICES), ('model', model, _READINGS)):
    for name, value in choices.items():
      if values.get(name, value) != value:
        raise InputError(
          f'got {section}.{name} = {values[name]!r}, expected {value!r}: others have no twin in '
          'PyTorch'
        )


def ramp(step: int, start: float, end: float, steps: int) -> float:
  """Linear warm-up."""
  return start + (end - start) * min(step / max(steps, 1), 1.0)


def draw_expression(twin: Any, batch: Batch, numbers: Numbers, step: int) -> Draws:
  """What one step of the expression stage leaves to chance."""
  count = len(batch['mask'])
  return {
    'z': torch.randn(count, twin.latent_dim),
    'w': torch.randn(count, twin.w_dim),
    'hidden': torch.rand(count) < numbers['subject_dropout'],
    **_draw_feedback(batch['expression'], batch['mask'], numbers, step),
  }


def expression(twin: Any, batch: Batch, draws: Draws, numbers: Numbers, cond: float) -> Tensor:
  """Stage 'expression'; `cond` is the weight of L_cond at this step."""
  truth, speech, mask = batch['expression'], batch['speech'], batch['mask']
  posterior = twin.encode(truth, speech, mask)
  z, w = (_sample(q, draws[n]) for q, n in ((posterior.z, 'z'), (posterior.w, 'w')))
  components = twin.mixture(w)
  log_r = functional.log_softmax(_log_density(components, z[:, None]), -1)
  subject = twin.embed(torch.where(draws['hidden'], -1, batch['subject']))

  def run(frames: Tensor, keep: Tensor | None) -> Tensor:
    return twin.decoder(frames, twin.context(z, subject, mask), speech, mask, keep)

  output = _feed_back(run, truth, draws)
  unnamed = log_r.shape[-1] - batch['emotion'].shape[-1]
  labels = functional.pad(batch['emotion'], (0, max(unnamed, 0)))
  told = mask.amax(1) * batch['labelled']
  crossed = -(labels * log_r).sum(-1)
  crossed = torch.where(labels.amax(-1) > 0.999, crossed, torch.zeros_like(crossed))
  return (
    numbers['rec'] * _mean(_squares(truth, output, mask), mask)
    + numbers['velocity'] * _velocity(truth, output, mask)
    + cond * _mean(_kl(posterior.z, _interpolate(labels, components)), told)
    + numbers['w'] * _mean(_kl(posterior.w, _standard(posterior.w)), mask.amax(1))
    + numbers['emo'] * _mean(crossed.clamp(min=numbers['label_free_bits']), told)
  )


def draw_motion(twin: Any, batch: Batch, numbers: Numbers, step: int) -> Draws:
  """What one step of the motion stage leaves to chance."""
  latents = twin.latent_mask(batch['mask']).shape
  noise = torch.randn(*latents, twin.latent_dim)
  return {'z': noise, **_draw_feedback(batch['motion'], batch['mask'], numbers, step)}


def motion(twin: Any, batch: Batch, draws: Draws, numbers: Numbers, scale: float) -> Tensor:
  """Stage 'motion'; `scale` is the weight of the divergence at this step."""
  truth, speech, mask = batch['motion'], batch['speech'], batch['mask']
  posterior = twin.encode(truth, speech, mask)
  latents = _sample(posterior, draws['z'])
  valid = twin.latent_mask(mask)
  z, log_det = twin.pull(latents, speech, mask)
  prior = (_log_density(_standard(Gaussian(z, z)), z) * valid).sum(-1) + log_det
  own = (_log_density(posterior, latents) * valid).sum(-1)
  kl = (own - prior).sum() / (valid.sum().clamp(min=1.0) * twin.latent_dim)

  def run(frames: Tensor, keep: Tensor | None) -> Tensor:
    return twin.decoder(frames, twin.context(latents, mask), speech, mask, keep)

  output = _feed_back(run, truth, draws)
  weights = torch.full((len(schema.MOTION_NAMES),), float(numbers['pose']))
  weights[schema.BLINK], weights[schema.GAZE] = numbers['blink'], numbers['gaze']
  return (
    numbers['rec'] * _mean(_squares(truth, output, mask, weights), mask)
    + numbers['velocity'] * _velocity(truth, output, mask, weights)
    + scale * kl.clamp(min=numbers['free_bits'])
  )


def paint(twin: Any, batch: Batch, z_style: Tensor) -> Tensor:
  """The picture of a training step, with its noise."""
  return twin(batch['rendering'], batch['emotion'], batch['latent'], z_style, True)


def painter(
  image: Tensor, batch: Batch, numbers: Numbers, critic: Callable[[Tensor], Tensor] | None
) -> Tensor:
  """Stage 'portrait', phase 'generator'."""
  rest = image - batch['image']
  total = numbers['l1'] * rest.abs().mean()
  if numbers['pyramid']:
    bands = torch.zeros(())
    for _ in range(numbers['pyramid_levels']):
      means = functional.avg_pool2d(rest, 2)
      wide = means.repeat_interleave(2, 2).repeat_interleave(2, 3)
      bands, rest = bands + (rest - wide).abs().mean(), means
    total = total + numbers['pyramid'] * (bands + rest.abs().mean())
  if critic is not None:
    judged = critic(beside(image, batch))
    total = total + numbers['adversarial'] * functional.softplus(-judged).mean()
  return total


def critic(judge: Callable[[Tensor], Tensor], image: Tensor, batch: Batch) -> Tensor:
  """Stage 'portrait', phase 'discriminator'; `image` was painted."""
  fake, real = judge(beside(image.detach(), batch)), judge(beside(batch['image'], batch))
  return (functional.softplus(-real) + functional.softplus(fake)).mean()


def r1(judge: Callable[[Tensor], Tensor], batch: Batch, numbers: Numbers) -> Tensor:
  """Stage 'portrait', phase 'r1'."""
  real = batch['image'].detach().requires_grad_()
  (gradient,) = torch.autograd.grad(judge(beside(real, batch)).sum(), real, create_graph=True)
  return numbers['r1'] / 2 * gradient.square().sum((1, 2, 3)).mean()


def beside(image: Tensor, batch: Batch) -> Tensor:
  """A picture and its rendering, the six channels that the critic sees."""
  rendering = batch['rendering']
  if rendering.shape[2:] != image.shape[2:]:
    rendering = functional.interpolate(rendering, image.shape[2:], mode='bilinear')
  return torch.cat((image, rendering), 1)


def _draw_feedback(truth: Tensor, mask: Tensor, numbers: Numbers, step: int) -> dict[str, Tensor]:
  draws, rate = {}, numbers['feedback_dropout']
  if rate:
    keep = torch.rand_like(mask) >= rate
    draws['keep'] = (keep & (torch.rand(len(mask), 1) >= rate)).to(mask.dtype)
  if share := numbers['scheduled_sampling']:
    own = ramp(step, 0.0, share, numbers['scheduled_sampling_steps'])
    draws['own'] = torch.rand_like(mask) < own
  if numbers['feedback_noise']:
    draws['noise'] = numbers['feedback_noise'] * torch.randn_like(truth)
  return draws


def _feed_back(run: Callable, truth: Tensor, draws: Draws) -> Tensor:
  """stages/feedback.py: its `decode`."""
  keep, fed = draws.get('keep'), truth
  if 'own' in draws:
    with torch.no_grad():
      outputs = run(truth, keep)
    fed = torch.where(draws['own'][..., None], outputs, fed)
  return run(fed + draws['noise'] if 'noise' in draws else fed, keep)


def _sample(gaussian: Gaussian, noise: Tensor) -> Tensor:
  return gaussian.mean + torch.exp(0.5 * gaussian.log_variance) * noise


def _standard(like: Gaussian) -> Gaussian:
  return Gaussian(torch.zeros_like(like.mean), torch.zeros_like(like.mean))


def _log_density(gaussian: Gaussian, value: Tensor) -> Tensor:
  squares = (value - gaussian.mean).square() * torch.exp(-gaussian.log_variance)
  return -0.5 * (squares + gaussian.log_variance + math.log(2 * math.pi)).sum(-1)


def _kl(p: Gaussian, q: Gaussian) -> Tensor:
  gap = q.log_variance - p.log_variance
  distance = (p.mean - q.mean).square() * torch.exp(-q.log_variance)
  return 0.5 * (gap + torch.exp(-gap) + distance - 1.0).sum(-1)


def _interpolate(weights: Tensor, components: Gaussian) -> Gaussian:
  weights = weights[..., None]
  deviation = (weights * torch.exp(0.5 * components.log_variance)).sum(-2)
  return Gaussian((weights * components.mean).sum(-2), 2.0 * deviation.log())


def _mean(values: Tensor, mask: Tensor) -> Tensor:
  return (values * mask).sum() / mask.sum().clamp(min=1.0)


def _squares(truth, output, mask, weights: Tensor | None = None) -> Tensor:
  gap = torch.where(mask[..., None] > 0, truth - output, torch.zeros(()))
  return (gap.square() if weights is None else gap.square() * weights).mean(-1)


def _velocity(truth, output, mask, weights: Tensor | None = None) -> Tensor:
  both = mask[:, 1:] * mask[:, :-1]
  truth, output = (x[:, 1:] - x[:, :-1] for x in (truth, output))
  return _mean(_squares(truth, output, both, weights), both)
