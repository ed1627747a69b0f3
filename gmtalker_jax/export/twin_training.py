"""Training and sampling the twins in PyTorch, for `gmtalker bench` to stand beside ours.

Four ways, each with what the one before has:
  eager      the twin as it is exported, Adam as PyTorch makes it by default
  tuned      pictures in the memory order `channels_last`, Adam fused
  compiled   `torch.compile` of the loss (of the painter and its critic)
and `published`: as `eager`, with the filters of StyleUNet the way its authors wrote them: each
channel convolved alone, by a 4x4 blur and 2x2 wavelets.
"""

import contextlib
import functools
from collections.abc import Callable, Generator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gmtalker_jax.export import exporting, twin_losses
from gmtalker_jax.export.gmtalker_torch import noise
from gmtalker_jax.export.gmtalker_torch import style as parts
from gmtalker_jax.export.gmtalker_torch.discriminator import Discriminator
from gmtalker_jax.export.gmtalker_torch.talker import NETWORKS
from gmtalker_jax.stages import STAGES

EAGER, TUNED, COMPILED, PUBLISHED = 'eager', 'tuned', 'compiled', 'published'


class Twins:
  """The networks of a stage in PyTorch, and how they are trained."""

  def __init__(
    self,
    stage: str,
    model: Mapping[str, Any],
    loss: Mapping[str, Any],
    optimizers: Mapping[str, Any],
    ema_decay: float,
    params: Mapping[str, Any],
    way: str = EAGER,
  ):
    """Takes the arguments of `stages.Spec.make`, weights by network, and a way of this module.

    `optimizers` have the fields of train/optimizers.py; the rate stays as it is at its highest.

    Raises InputError for an objective without a twin.
    """
    twin_losses.check(loss, model)
    self.stage, self.loss, self.way, self.step_number = stage, loss, way, 0
    self.settings, self.ema_decay = optimizers, ema_decay
    model = dict(model)
    critics = {name: model.pop(name, {}) for name in STAGES[stage].critics}
    self.nets: dict[str, nn.Module] = {'generator': NETWORKS[stage](**model)}
    if 'discriminator' in params:
      self.nets['discriminator'] = Discriminator(**critics['discriminator'], inputs=6)
    for name, net in self.nets.items():
      state = exporting.state(params[name])
      net.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in state.items()}, strict=True)
      if stage == 'portrait' and way in (TUNED, COMPILED):
        net.to(memory_format=torch.channels_last)  # ty: ignore[no-matching-overload]
    self.run: dict[str, Any] = dict(self.nets)
    self.objective: Any = getattr(twin_losses, stage, None)
    if way == COMPILED and stage == 'portrait':
      self.run = {name: torch.compile(net) for name, net in self.nets.items()}
    elif way == COMPILED:
      self.objective = torch.compile(self.objective)
    self.adam = {
      name: torch.optim.Adam(
        net.parameters(), lr=optimizers[name].rate, eps=optimizers[name].eps,
        betas=(optimizers[name].b1, optimizers[name].b2),
        fused=way in (TUNED, COMPILED) or None,
      )
      for name, net in self.nets.items()
    }  # fmt: skip
    self.average = [p.detach().clone() for p in self.nets['generator'].parameters()]

  def place(self, batch: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """A batch of ours, its pictures with their channels first."""
    placed = {}
    for name, value in batch.items():
      tensor = torch.from_numpy(np.array(value))
      if tensor.ndim == 4:
        tensor = tensor.permute(0, 3, 1, 2)  # in memory that is channels_last
        tensor = tensor if self.way in (TUNED, COMPILED) else tensor.contiguous()
      placed[name] = tensor.long() if name == 'subject' else tensor
    return placed

  def step(self, batch: Mapping[str, Tensor]) -> float:
    """One training step, all phases that are due; -> the generator's loss."""
    with self.filters():
      loss = self._portrait(batch) if self.stage == 'portrait' else self._clips(batch)
    own, average = list(self.nets['generator'].parameters()), self.average
    lerp: Any = torch._foreach_lerp_
    with torch.no_grad():
      if self.way in (TUNED, COMPILED):
        lerp(average, own, 1 - self.ema_decay)
      else:
        for mean, value in zip(average, own, strict=True):
          mean.lerp_(value, 1 - self.ema_decay)
    self.step_number += 1
    return float(loss.detach())

  def gradient(self, batch: Mapping[str, Tensor], draws: Mapping[str, Tensor]) -> list[Tensor]:
    """The first phase's gradient by the generator's parameters, in their order."""
    loss = self._clip_loss(batch, draws) if self.stage != 'portrait' else self._paint(batch, draws)
    return list(
      torch.autograd.grad(loss, list(self.nets['generator'].parameters()), allow_unused=True)
    )

  def critic_gradients(self, batch, draws) -> list[list[Tensor]]:
    """Those of the discriminator's two phases."""
    judge, nets = self.run['discriminator'], self.nets
    with torch.no_grad():
      image = twin_losses.paint(self.run['generator'], batch, draws['z_style'])
    losses = twin_losses.critic(judge, image, batch), twin_losses.r1(judge, batch, self.loss)
    own = list(nets['discriminator'].parameters())
    return [list(torch.autograd.grad(loss, own, allow_unused=True)) for loss in losses]

  def forward_backward(self, batch: Mapping[str, Tensor]) -> None:
    """The gradient alone."""
    with self.filters():
      self.gradient(batch, self._draw(batch))

  def sample(self, speech: Tensor, emotion: Tensor) -> None:
    """One clip [1, 2T, D] from the generators of clips, drawn with weights [1, T, K]."""
    with torch.inference_mode():
      key = noise.key_for(0, 'bench')
      net: Any = self.nets['generator'].eval()
      net.sample(speech, emotion, key) if self.stage == 'expression' else net.sample(speech, key)
      net.train()

  def paint(self, batch: Mapping[str, Tensor]) -> None:
    """One picture for each example, as when talking."""
    with torch.inference_mode(), self.filters():
      z_style = torch.zeros(len(batch['latent']), self._style_dim)
      self.run['generator'](batch['rendering'], batch['emotion'], batch['latent'], z_style)

  @property
  def _style_dim(self) -> int:
    net: Any = self.nets['generator']
    return net.style_dim

  def _draw(self, batch) -> Mapping[str, Tensor]:
    if self.stage == 'portrait':
      return {'z_style': torch.randn(len(batch['image']), self._style_dim)}
    draw = getattr(twin_losses, f'draw_{self.stage}')
    return draw(self.nets['generator'], batch, self.loss, self.step_number)

  def _clip_loss(self, batch, draws) -> Tensor:
    n = self.loss
    if self.stage == 'expression':
      weight = twin_losses.ramp(self.step_number, n['cond_start'], n['cond'], n['cond_steps'])
    else:
      weight = twin_losses.ramp(self.step_number, 0.0, n['kl'], n['kl_steps'])
    return self.objective(self.nets['generator'], batch, draws, n, weight)

  def _clips(self, batch) -> Tensor:
    loss = self._clip_loss(batch, self._draw(batch))
    self._learn('generator', loss)
    return loss

  def _paint(self, batch, draws) -> Tensor:
    image = twin_losses.paint(self.run['generator'], batch, draws['z_style'])
    return twin_losses.painter(image, batch, self.loss, self.run.get('discriminator'))

  def _portrait(self, batch) -> Tensor:
    loss = self._paint(batch, self._draw(batch))
    self._learn('generator', loss)
    if 'discriminator' in self.nets:
      with torch.no_grad():
        style = self._draw(batch)['z_style']
        image = twin_losses.paint(self.run['generator'], batch, style)
      judge = self.run['discriminator']
      self._learn('discriminator', twin_losses.critic(judge, image, batch))
      if self.loss['r1'] and self.step_number % self.loss['r1_every'] == 0:
        plain = self.nets['discriminator']  # what is compiled has no second derivative
        penalty = twin_losses.r1(plain, batch, self.loss) * self.loss['r1_every']
        self._learn('discriminator', penalty)
    return loss

  def _learn(self, name: str, loss: Tensor) -> None:
    own = list(self.nets[name].parameters())
    gradients = torch.autograd.grad(loss, own, allow_unused=True)
    for parameter, gradient in zip(own, gradients, strict=True):
      parameter.grad = torch.zeros_like(parameter) if gradient is None else gradient
    torch.nn.utils.clip_grad_norm_(own, self.settings[name].clip or float('inf'))
    self.adam[name].step()

  @contextlib.contextmanager
  def filters(self) -> Generator[None]:
    """For `published`, the filters of StyleUNet as they were written first."""
    if self.way != PUBLISHED:
      yield
      return
    ours = {name: getattr(parts, name) for name in _PUBLISHED}
    try:
      for name, form in _PUBLISHED.items():
        setattr(parts, name, form)
      yield
    finally:
      for name, form in ours.items():
        setattr(parts, name, form)


def tensor(array: np.ndarray) -> Tensor:
  """The same numbers."""
  return torch.from_numpy(np.array(array))


def peak_memory(run: Callable[[], Any]) -> int:
  """The most bytes that a call holds at once beyond what was there before it."""
  with torch.profiler.profile(
    activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
  ) as profile:
    run()
  results: Any = profile.profiler
  events = [e for e in results.kineto_results.events() if e.name() == '[memory]']
  changes = [e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())]
  return int(max(np.cumsum(changes), default=0))


def _filtered(x: Tensor, taps: Tensor, up: int = 1, down: int = 1, pad: int = 0, end: int = 0):
  """Zeros between the pixels, zeros around, every channel convolved alone."""
  batch, count, height, width = x.shape
  x = x.reshape(batch * count, 1, height, width)
  if up > 1:
    x = functional.pad(x[:, :, :, None, :, None], (0, up - 1, 0, 0, 0, up - 1)).reshape(
      batch * count, 1, height * up, width * up
    )
  x = functional.conv2d(functional.pad(x, (pad, end, pad, end)), taps[None, None])
  return x[:, :, ::down, ::down].reshape(batch, count, *x[0, 0, ::down, ::down].shape)


@functools.cache
def _blur_taps() -> Tensor:
  line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
  return torch.outer(line, line)


@functools.cache
def _bands() -> tuple[Tensor, ...]:
  """ll, lh, hl, hh as `parts.haar` orders them."""
  low, high = torch.tensor([1.0, 1.0]), torch.tensor([1.0, -1.0])
  pairs = ((low, low), (high, low), (low, high), (high, high))
  return tuple(torch.outer(rows, columns) / 2 for rows, columns in pairs)


def _blur(x: Tensor, pad: int) -> Tensor:
  return _filtered(x, _blur_taps(), pad=pad, end=pad)


def _upsample(image: Tensor) -> Tensor:
  return _filtered(image, 4 * _blur_taps(), up=2, pad=2, end=1)


def _haar(image: Tensor) -> Tensor:
  return torch.cat([_filtered(image, band, down=2) for band in _bands()], 1)


def _inverse_haar(bands: Tensor) -> Tensor:
  each = zip(bands.chunk(4, 1), _bands(), strict=True)
  parts_ = [_filtered(x, band.flip(0, 1), up=2, pad=1) for x, band in each]
  return sum(parts_[1:], parts_[0])


_PUBLISHED = {
  'blur': _blur, 'upsample': _upsample, 'haar': _haar, 'inverse_haar': _inverse_haar,
}  # fmt: skip
