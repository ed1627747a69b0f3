"""Speech and emotion weights to facial expression, through a Gaussian-mixture latent space."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from . import layers, noise
from .decoder import Decoder

EMOTIONS = 8  # that have a name


class Gaussian(NamedTuple):
  """Diagonal Gaussians; the last axis is the event."""

  mean: Tensor
  log_variance: Tensor


class Posterior(NamedTuple):
  """What the encoder believes of a recorded clip."""

  w: Gaussian  # [B, w_dim] the manner
  z: Gaussian  # [B, Z]


class MLPMapper(nn.Module):
  """w to the K Gaussians of the mixture over z: two hidden layers, one head per component."""

  def __init__(self, components: int, latent_dim: int, width: int, w_dim: int):
    super().__init__()
    self.shape = components, latent_dim
    self.hidden = nn.ModuleList([nn.Linear(w_dim, width), nn.Linear(width, width)])
    self.mean = nn.Linear(width, components * latent_dim)
    self.log_variance = nn.Linear(width, components * latent_dim)

  def forward(self, w: Tensor) -> Gaussian:
    """w [B, w_dim] -> means and log-variances [B, K, Z]."""
    for layer in self.hidden:
      w = layers.gelu(layer(w))
    mean, log_variance = (
      head(w).unflatten(-1, self.shape) for head in (self.mean, self.log_variance)
    )
    return Gaussian(mean, log_variance.clamp(-6.0, 4.0))


class TransformerMapper(nn.Module):
  """The same with K learned queries that attend to the token of w and to each other."""

  def __init__(
    self, components: int, latent_dim: int, width: int, w_dim: int, heads: int = 4, depth: int = 2
  ):
    super().__init__()
    self.token = nn.Linear(w_dim, width)
    self.queries = nn.Parameter(torch.randn(components, width))
    self.blocks = nn.ModuleList(layers.EncoderBlock(width, heads) for _ in range(depth))
    self.norm = layers.layer_norm(width)
    self.bias = nn.Parameter(torch.randn(components, latent_dim))
    self.mean = nn.Linear(width, latent_dim, bias=False)
    self.log_variance = nn.Linear(width, latent_dim)

  def forward(self, w: Tensor) -> Gaussian:
    """w [B, w_dim] -> means and log-variances [B, K, Z]."""
    token = self.token(w)[:, None]
    x = self.queries.expand(len(w), -1, -1)
    for block in self.blocks:
      x = block(x, torch.zeros((), device=x.device), token)
    x = self.norm(x)
    return Gaussian(self.mean(x) + self.bias, self.log_variance(x).clamp(-6.0, 4.0))


MAPPERS = {'mlp': MLPMapper, 'transformer': TransformerMapper}


class ExpressionGenerator(nn.Module):
  """The expression generator. Coefficients and speech features are standardised."""

  def __init__(
    self,
    speech_dim: int,
    expression_dim: int = 50,
    emotions: int = 8,
    told: bool = False,
    subjects: int = 1,
    width: int = 256,
    latent_dim: int = 256,
    w_dim: int = 64,
    heads: int = 4,
    encoder_layers: int = 4,
    decoder_layers: int = 2,
    mapper: str = 'mlp',
    align_window: int = 0,
    period: int = 25,
    history: int = 0,
    speech_layers: int = 0,
    decoder_mode: str = 'autoregressive',
    dropout: float = 0.0,
    dtype: str = 'float32',  # of the products in training; here use torch.autocast
  ):
    super().__init__()
    self.emotions, self.latent_dim, self.w_dim = emotions, latent_dim, w_dim
    self.tokens = layers.FrameTokens(expression_dim, speech_dim, width)
    self.encoder = layers.Encoder(width, heads, encoder_layers, period, period, dropout)
    self.pool_w, self.pool_z = layers.AttentionPooling(width), layers.AttentionPooling(width)
    self.head_w, self.head_z = nn.Linear(width, 2 * w_dim), nn.Linear(width, 2 * latent_dim)
    self.mog_mapper = MAPPERS[mapper](emotions, latent_dim, width, w_dim)
    self.subject_table = nn.Embedding(subjects, width)
    self.emotion_in = nn.Linear(EMOTIONS, width, bias=False) if told else None
    self.latent_in = nn.Linear(latent_dim, width) if latent_dim != width else nn.Identity()
    self.decoder = Decoder(
      expression_dim, speech_dim, width, heads, decoder_layers, period, align_window, history,
      speech_layers, decoder_mode == 'autoregressive', dropout,
    )  # fmt: skip

  def forward(self, expression: Tensor, speech: Tensor, mask: Tensor, subject: Tensor) -> Tensor:
    """Reconstruction through the posterior means; touches every parameter."""
    posterior = self.encode(expression, speech, mask)
    components = self.mixture(posterior.w.mean)
    z = posterior.z.mean + 0.0 * components.mean.sum()
    return self.decoder(expression, self.context(z, self.embed(subject), mask), speech, mask)

  def encode(self, expression: Tensor, speech: Tensor, mask: Tensor) -> Posterior:
    """expression [B, T, E], speech [B, 2T, D], mask [B, T] -> posteriors of w and z."""
    x = self.encoder(self.tokens(expression, speech, mask), mask)
    return Posterior(
      _gaussian(self.head_w(self.pool_w(x, mask))), _gaussian(self.head_z(self.pool_z(x, mask)))
    )

  def mixture(self, w: Tensor) -> Gaussian:
    """The prior's components p(z | w, k): w [B, w_dim] -> [B, K, Z]."""
    return self.mog_mapper(w)

  def embed(self, subject: Tensor, emotion: Tensor | None = None) -> Tensor:
    """Whose manner [B] -> [B, width]; a negative index is the mean person.

    With `told` and the emotion [B, T, N]: -> [B, T, width]; None is all emotions alike.
    """
    known = self.subject_table(subject.clamp(min=0))
    found = torch.where((subject >= 0)[:, None], known, self.subject_table.weight.mean(0)[None])
    if self.emotion_in is None:
      return found
    if emotion is None:
      return found + self.emotion_in(found.new_full((len(found), EMOTIONS), 1 / EMOTIONS))
    return found[:, None] + self.emotion_in(emotion)

  def context(self, z: Tensor, subject: Tensor, mask: Tensor) -> Tensor:
    """What the decoder is told: z [B, Z] or [B, T, Z], subject from `embed` -> [B, T, width]."""
    told = self.latent_in(z)
    told = told if z.ndim == 3 else told[:, None].expand(-1, mask.shape[1], -1)
    return told + (subject if subject.ndim == 3 else subject[:, None])

  def sample(
    self,
    speech: Tensor,
    emotion: Tensor,
    key: np.ndarray,
    temperature: float = 1.0,
    mode: str = 'interpolation',
    subject: Tensor | None = None,
  ) -> Tensor:
    """speech [B, 2T, D], emotion weights [B, T, K], a key of noise.py -> expression [B, T, E]."""
    mask = emotion.new_ones(emotion.shape[:2])
    z = self.sample_latent(emotion, key, temperature, mode)
    subject = torch.full((len(z),), -1, device=z.device) if subject is None else subject
    return self.decoder.rollout(self.context(z, self.embed(subject, emotion), mask), speech, mask)

  def sample_latent(
    self, emotion: Tensor, key: np.ndarray, temperature: float = 1.0, mode: str = 'interpolation'
  ) -> Tensor:
    """z [B, T, Z] at emotion weights [B, T, K].

    interpolation: the weighted sum of one draw from each component, all with the same noise;
    component: one component, drawn by the weights; moment: the Gaussian of the mixture's moments.
    """
    if self.emotions == 1:
      emotion = emotion.sum(-1, keepdim=True)
    emotion = nn.functional.pad(emotion, (0, self.emotions - emotion.shape[-1]))  # the unnamed
    batch, device = len(emotion), emotion.device
    keys = noise.split(key, 3)
    w = noise.row_normal(keys[0], (batch, self.w_dim)).to(device)
    epsilon = noise.row_normal(keys[1], (batch, self.latent_dim)).to(device)[:, None]
    mean, log_variance = self.mixture(w)
    if mode == 'moment':
      centre = torch.einsum('btk,bkz->btz', emotion, mean)
      spread = (mean[:, None] - centre[:, :, None]) ** 2 + log_variance.exp()[:, None]
      variance = torch.einsum('btk,btkz->btz', emotion, spread)
      return centre + temperature * variance.sqrt() * epsilon
    if mode == 'component':
      uniform = noise.row_uniform(keys[2], (batch, self.emotions), 1e-6, 1 - 1e-6).to(device)
      gumbel = -torch.log(-torch.log(uniform))
      chosen = (emotion.clamp(min=1e-30).log() + gumbel[:, None]).argmax(-1)
      emotion = nn.functional.one_hot(chosen, self.emotions).to(emotion.dtype)
    each = mean + temperature * torch.exp(0.5 * log_variance) * epsilon
    return torch.einsum('btk,bkz->btz', emotion, each)


def _gaussian(x: Tensor) -> Gaussian:
  mean, log_variance = x.chunk(2, -1)
  return Gaussian(mean, log_variance.clamp(-10.0, 10.0))
