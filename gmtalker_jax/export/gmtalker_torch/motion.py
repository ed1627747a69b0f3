"""Speech and noise to head pose, blinks and gaze, through a coupling flow."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from . import layers, noise
from .decoder import Decoder
from .expression import Gaussian
from .layers import blank


class Conditioner(nn.Module):
  """The Transformer of one coupling: the unchanged half to log-scale and shift of the other."""

  def __init__(
    self, channels: int, unchanged: int, heard: int, width: int, heads: int, depth: int, period: int
  ):
    super().__init__()
    self.unchanged_in = nn.Linear(unchanged, width)
    if heard:
      self.speech_in = nn.Linear(heard, width)
    self.encoder = layers.Encoder(width, heads, depth, period)
    self.head = nn.Linear(width, 2 * channels)

  def forward(
    self, unchanged: Tensor, speech: Tensor | None, mask: Tensor
  ) -> tuple[Tensor, Tensor]:
    """unchanged [B, L, C2], speech [B, L, D] or None, mask [B, L] -> two of [B, L, channels]."""
    x = self.unchanged_in(blank(unchanged, mask))
    if speech is not None:
      x = x + self.speech_in(speech)
    log_scale, shift = self.head(self.encoder(x, mask)).chunk(2, -1)
    return 2.0 * torch.tanh(log_scale / 2.0), shift


class MotionGenerator(nn.Module):
  """The motion generator. Motion and speech features are standardised."""

  def __init__(
    self,
    speech_dim: int,
    motion_dim: int = 12,
    latent_dim: int = 16,
    stride: int = 4,
    latent_layout: str = 'sequence',
    flow_steps: int = 4,
    flow_width: int = 64,
    flow_layers: int = 2,
    flow_objective: str = 'prior',  # of training; sampling is the same for both
    flow_audio_cond: bool = False,
    width: int = 256,
    heads: int = 4,
    encoder_layers: int = 4,
    decoder_layers: int = 2,
    align_window: int = 0,
    period: int = 25,
    history: int = 0,
    speech_layers: int = 0,
    decoder_mode: str = 'autoregressive',
    dropout: float = 0.0,
    dtype: str = 'float32',  # of the products in training; here use torch.autocast
  ):
    super().__init__()
    self.latent_dim, self.stride, self.width = latent_dim, stride, width
    self.layout = latent_layout
    self.flow_audio_cond, self.cut = flow_audio_cond, latent_dim // 2
    if self.layout != 'none':
      self.tokens = layers.FrameTokens(motion_dim, speech_dim, width)
      self.encoder = layers.Encoder(width, heads, encoder_layers, period, period, dropout)
      read = width if self.layout == 'vector' else stride * width
      self.posterior_head = nn.Linear(read, 2 * latent_dim)
      self.latent_in = nn.Linear(latent_dim, width)
    if self.layout == 'vector':
      self.pool = layers.AttentionPooling(width)
    self.conditioners = nn.ModuleList(
      Conditioner(
        self.cut, latent_dim - self.cut, speech_dim if flow_audio_cond else 0, flow_width, heads,
        flow_layers, period,
      )
      for _ in range(0 if self.layout == 'none' else flow_steps)
    )  # fmt: skip
    self.decoder = Decoder(
      motion_dim, speech_dim, width, heads, decoder_layers, period, align_window, history,
      speech_layers, decoder_mode == 'autoregressive', dropout,
    )  # fmt: skip

  def forward(self, motion: Tensor, speech: Tensor, mask: Tensor) -> Tensor:
    """Reconstruction through the posterior mean; touches every parameter."""
    latents = self.encode(motion, speech, mask).mean
    moved, _ = self.push(latents, speech, mask)
    context = self.context(latents + 0.0 * moved.sum(), mask)
    return self.decoder(motion, context, speech, mask)

  def encode(self, motion: Tensor, speech: Tensor, mask: Tensor) -> Gaussian:
    """motion [B, T, M], speech [B, 2T, D], mask [B, T] -> Gaussian over latents [B, L, C]."""
    if self.layout == 'none':
      nothing = motion.new_zeros(len(motion), 1, self.latent_dim)
      return Gaussian(nothing, nothing)
    x = self.encoder(self.tokens(motion, speech, mask), mask)
    if self.layout == 'vector':
      x = self.pool(x, mask)[:, None]
    else:
      x = group(blank(x, mask), self.stride).flatten(2)
    mean, log_variance = self.posterior_head(x).chunk(2, -1)
    return Gaussian(mean, log_variance.clamp(-10.0, 10.0))

  def push(self, z: Tensor, speech: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The flow: noise z [B, L, C] -> latents [B, L, C], log-determinant [B]."""
    valid, heard = self.latent_mask(mask), self._heard(speech, mask)
    log_det = z.new_zeros(len(z))
    for conditioner in self.conditioners:
      first, second = z[..., : self.cut], z[..., self.cut :]
      log_scale, shift = (x * valid[..., None] for x in conditioner(second, heard, valid))
      z = torch.cat([first * log_scale.exp() + shift, second], -1).flip(-1)
      log_det = log_det + log_scale.sum((1, 2))
    return z, log_det

  def pull(self, latents: Tensor, speech: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse of `push`, with its log-determinant."""
    valid, heard = self.latent_mask(mask), self._heard(speech, mask)
    log_det = latents.new_zeros(len(latents))
    for conditioner in reversed(self.conditioners):
      latents = latents.flip(-1)
      first, second = latents[..., : self.cut], latents[..., self.cut :]
      log_scale, shift = (x * valid[..., None] for x in conditioner(second, heard, valid))
      latents = torch.cat([(first - shift) * torch.exp(-log_scale), second], -1)
      log_det = log_det - log_scale.sum((1, 2))
    return latents, log_det

  def context(self, latents: Tensor, mask: Tensor) -> Tensor:
    """What the decoder is told at each frame: latents [B, L, C] -> [B, T, width]."""
    if self.layout == 'none':
      return latents.new_zeros(*mask.shape, self.width)
    x = self.latent_in(blank(latents, self.latent_mask(mask)))
    repeats = self.stride if self.layout == 'sequence' else mask.shape[1]
    return x.repeat_interleave(repeats, 1)[:, : mask.shape[1]]

  def latent_mask(self, mask: Tensor) -> Tensor:
    """1 for latents with a real frame: mask [B, T] -> [B, L]."""
    if self.layout != 'sequence':
      return mask.amax(1, keepdim=True)
    return group(mask, self.stride).amax(2)

  def sample(self, speech: Tensor, key: np.ndarray, temperature: float = 1.0) -> Tensor:
    """speech [B, 2T, D], a key of noise.py -> one motion of many [B, T, M]."""
    mask = speech.new_ones(len(speech), speech.shape[1] // 2)
    shape = (*self.latent_mask(mask).shape, self.latent_dim)
    z = temperature * noise.row_normal(key, shape, rows=2).to(speech.device)
    latents, _ = self.push(z, speech, mask)
    return self.decoder.rollout(self.context(latents, mask), speech, mask)

  def _heard(self, speech: Tensor, mask: Tensor) -> Tensor | None:
    """The mean of the speech features that belong to each latent, where the flow hears them."""
    if not self.flow_audio_cond:
      return None
    rows = mask.repeat_interleave(2, 1)
    stride = 2 * (self.stride if self.layout == 'sequence' else mask.shape[1])
    total = group(blank(speech, rows), stride).sum(2)
    return total / group(rows, stride).sum(2).clamp(min=1.0)[..., None]


def group(values: Tensor, stride: int) -> Tensor:
  """Cuts time into groups, the last one padded with zeros: [B, T, ...] -> [B, L, stride, ...]."""
  short = -values.shape[1] % stride
  values = functional.pad(values, (0, 0) * (values.ndim - 2) + (0, short))
  return values.unflatten(1, (-1, stride))
