"""Transformer parts that both speech-driven generators share. All are pre-norm.

No part knows an absolute time: positions are periodic and distances enter as biases, so windows of
a few seconds and clips of any length are treated alike. Masks are float, 1 = a real frame.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

BLOCKED = -1e9  # finite: a row with nothing to see stays finite


def layer_norm(width: int) -> nn.LayerNorm:
  """Layer norm with the epsilon that the weights were trained with; PyTorch's own is 1e-5."""
  return nn.LayerNorm(width, eps=1e-6)


def gelu(x: Tensor) -> Tensor:
  """GELU by its tanh approximation."""
  return functional.gelu(x, approximate='tanh')


class Attention(nn.Module):
  """Multi-head attention with an additive bias."""

  def __init__(self, width: int, heads: int):
    super().__init__()
    self.heads = heads
    self.query = nn.Linear(width, width)
    self.key_value = nn.Linear(width, 2 * width)
    self.out = nn.Linear(width, width)

  def memory(self, x: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values [B, N, heads, width / heads] of x [B, N, width]."""
    key, value = self.key_value(x).chunk(2, -1)
    return self._split(key), self._split(value)

  def forward(self, x: Tensor, memory: tuple[Tensor, Tensor], bias: Tensor) -> Tensor:
    """x [B, Q, width], bias [1 | B, heads, Q, N] -> [B, Q, width]."""
    key, value = memory
    query = self._split(self.query(x)) * (x.shape[-1] // self.heads) ** -0.5
    scores = torch.einsum('bqhd,bnhd->bhqn', query, key)
    weights = torch.softmax(scores + bias, -1)
    return self.out(torch.einsum('bhqn,bnhd->bqhd', weights, value).reshape(x.shape))

  def _split(self, x: Tensor) -> Tensor:
    return x.unflatten(-1, (self.heads, -1))


class FeedForward(nn.Module):
  """Two layers with GELU, four times as wide inside."""

  def __init__(self, width: int):
    super().__init__()
    self.expand = nn.Linear(width, 4 * width)
    self.contract = nn.Linear(4 * width, width)

  def forward(self, x: Tensor) -> Tensor:
    """[..., width] -> [..., width]."""
    return self.contract(gelu(self.expand(x)))


class EncoderBlock(nn.Module):
  """Bidirectional self-attention and feed-forward."""

  def __init__(self, width: int, heads: int):
    super().__init__()
    self.attention_norm, self.feed_norm = layer_norm(width), layer_norm(width)
    self.attention = Attention(width, heads)
    self.feed_forward = FeedForward(width)

  def forward(self, x: Tensor, bias: Tensor, given: Tensor | None = None) -> Tensor:
    """x [B, N, width], bias [1 | B, heads, N, G + N]; `given` [B, G, width] is seen in front."""
    y = self.attention_norm(x)
    seen = y if given is None else torch.cat([given, y], 1)
    x = x + self.attention(y, self.attention.memory(seen), bias)
    return x + self.feed_forward(self.feed_norm(x))


class Encoder(nn.Module):
  """A bidirectional Transformer over a masked sequence."""

  def __init__(
    self,
    width: int,
    heads: int,
    layers: int,
    period: int,
    reach: int = 1,
    dropout: float = 0.0,
  ):
    super().__init__()
    self.drop = nn.Dropout(dropout)
    self.width, self.heads, self.period, self.reach = width, heads, period, reach
    self.blocks = nn.ModuleList(EncoderBlock(width, heads) for _ in range(layers))
    self.norm = layer_norm(width)

  def forward(self, x: Tensor, mask: Tensor) -> Tensor:
    """x [B, N, width], mask [B, N] -> [B, N, width]; masked positions are seen by none."""
    times = torch.arange(x.shape[1], device=x.device)
    x = self.drop(x + periodic(times, self.width, self.period))
    bias = distance_bias(times, self.heads, self.reach)[None] + mask_bias(mask)
    for block in self.blocks:
      x = block(x, bias)
    return self.norm(x)


class FrameTokens(nn.Module):
  """One token per video frame, from coefficients and the frame's two rows of speech features."""

  def __init__(self, coefficients: int, speech_dim: int, width: int):
    super().__init__()
    self.frames = nn.Linear(coefficients, width)
    self.speech = nn.Linear(2 * speech_dim, width)

  def forward(self, frames: Tensor, speech: Tensor, mask: Tensor) -> Tensor:
    """frames [B, T, E], speech [B, 2T, D], mask [B, T] -> [B, T, width]."""
    pairs = speech.reshape(*frames.shape[:2], -1)
    return self.frames(blank(frames, mask)) + self.speech(blank(pairs, mask))


class SpeechTokens(nn.Module):
  """Speech rows for cross-attention: a projection, and residual layers of three taps."""

  def __init__(self, speech_dim: int, width: int, layers: int):
    super().__init__()
    self.project = nn.Linear(speech_dim, width)
    self.norms = nn.ModuleList(layer_norm(width) for _ in range(layers))
    self.taps = nn.ModuleList(nn.Linear(3 * width, width) for _ in range(layers))

  def forward(self, speech: Tensor, valid: Tensor) -> Tensor:
    """speech [B, N, D], valid [B, N] -> [B, N, width]."""
    x = self.project(blank(speech, valid))
    for norm, taps in zip(self.norms, self.taps, strict=True):
      y = functional.pad(blank(norm(x), valid), (0, 0, 1, 1))
      x = x + gelu(taps(torch.cat([y[:, :-2], y[:, 1:-1], y[:, 2:]], -1)))
    return x


class AttentionPooling(nn.Module):
  """A weighted mean over time with learned weights."""

  def __init__(self, width: int):
    super().__init__()
    self.hidden, self.score = nn.Linear(width, width), nn.Linear(width, 1)

  def forward(self, x: Tensor, mask: Tensor) -> Tensor:
    """x [B, T, width], mask [B, T] -> [B, width]."""
    scores = self.score(torch.tanh(self.hidden(x)))[..., 0]
    weights = torch.softmax(scores.masked_fill(mask <= 0, BLOCKED), -1)
    return torch.einsum('bt,btw->bw', weights, blank(x, mask))


def blank(values: Tensor, mask: Tensor) -> Tensor:
  """Zeros `values` [B, T, ...] where `mask` [B, T] is 0, whatever stood there."""
  mask = mask.reshape(mask.shape + (1,) * (values.ndim - mask.ndim))
  return torch.where(mask > 0, values, torch.zeros((), dtype=values.dtype, device=values.device))


def periodic(times: Tensor, width: int, period: int) -> Tensor:
  """Sines and cosines of time modulo `period`: [T] -> [T, width]."""
  steps = torch.arange(0, width, 2, device=times.device, dtype=torch.float32)
  angles = (times % period)[:, None] * torch.exp(-math.log(10_000.0) * steps / width)
  return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)[:, :width]


def slopes(heads: int, device: torch.device) -> Tensor:
  """Slopes of the distance bias: 2^(-8/n), 2^(-16/n), ... for n heads, [heads, 1, 1]."""
  powers = -8.0 * torch.arange(1, heads + 1, device=device, dtype=torch.float32) / heads
  return torch.exp2(powers)[:, None, None]


def causal_bias(age: Tensor, heads: int, period: int, history: int = 0) -> Tensor:
  """-slope floor(age / period) for the past, blocked for the future: [Q, N] -> [heads, Q, N].

  Ages of `history` and more are blocked too, unless it is 0.
  """
  seen = (age >= 0) & (age < history) if history else age >= 0
  bias = -slopes(heads, age.device) * age.div(period, rounding_mode='floor')
  return bias.masked_fill(~seen, BLOCKED)


def distance_bias(times: Tensor, heads: int, reach: int) -> Tensor:
  """-slope floor(distance / reach), both ways: [N] -> [heads, N, N]."""
  distance = (times[:, None] - times[None]).abs().div(reach, rounding_mode='floor')
  return -slopes(heads, times.device) * distance


def mask_bias(mask: Tensor) -> Tensor:
  """Blocks masked keys, but never a position from itself: [B, N] -> [B, 1, N, N]."""
  seen = (mask[:, None] > 0) | torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
  return torch.zeros_like(seen, dtype=torch.float32).masked_fill(~seen, BLOCKED)[:, None]
