"""The autoregressive Transformer decoder with cross-attention to a window of speech."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import layers
from .layers import BLOCKED, Attention, FeedForward, blank, layer_norm


class DecoderBlock(nn.Module):
  """Causal self-attention, cross-attention to a window of speech, feed-forward."""

  def __init__(self, width: int, heads: int, align_window: int):
    super().__init__()
    self.align_window, self.rows = align_window, window_rows(align_window)
    self.self_norm, self.cross_norm, self.feed_norm = (layer_norm(width) for _ in range(3))
    self.self_attention = Attention(width, heads)
    self.cross_attention = Attention(width, heads)
    self.feed_forward = FeedForward(width)
    # Which of the window's rows a head prefers; without it the rows would have no order.
    self.row_bias = nn.Parameter(torch.zeros(heads, self.rows))

  def forward(self, x: Tensor, bias: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """All frames: x [B, T, W], bias [B, heads, T, T], tokens [B, 2T, W], mask [B, T]."""
    y = self.self_norm(x)
    x = x + self.self_attention(y, self.self_attention.memory(y), bias)
    memory = self.cross_attention.memory(tokens)
    x = x + self.cross_attention(self.cross_norm(x), memory, self._window(mask))
    return x + self.feed_forward(self.feed_norm(x))

  def step(
    self,
    x: Tensor,
    past: tuple[Tensor, Tensor],
    first: int,
    now: int,
    bias: Tensor,
    memory: tuple[Tensor, Tensor],
    seen: Tensor,
  ) -> Tensor:
    """Frame `now`: x [B, 1, W] -> [B, 1, W]. Writes its key and value into `past`.

    `bias` [1, heads, 1, N] is that of the frames first .. now; `memory` and `seen` [B, rows] are
    those of its window of speech.
    """
    y = self.self_norm(x)
    for whole, new in zip(past, self.self_attention.memory(y), strict=True):
      whole[:, now] = new[:, 0]
    key, value = (whole[:, first : now + 1] for whole in past)
    x = x + self.self_attention(y, (key, value), bias)
    window = torch.where(seen[:, None, None], self.row_bias[None, :, None], BLOCKED)
    x = x + self.cross_attention(self.cross_norm(x), memory, window)
    return x + self.feed_forward(self.feed_norm(x))

  def _window(self, mask: Tensor) -> Tensor:
    times = torch.arange(mask.shape[1], device=mask.device)
    rows = torch.arange(2 * mask.shape[1], device=mask.device)
    place = rows[None] - 2 * times[:, None] + 2 * self.align_window
    inside = (place >= 0) & (place < self.rows)
    own = place.div(2, rounding_mode='floor') == self.align_window  # never blocked
    seen = inside & ((mask.repeat_interleave(2, 1)[:, None] > 0) | own)
    bias = self.row_bias[:, place.clamp(0, self.rows - 1)]
    return torch.where(seen[:, None], bias[None], BLOCKED)


class Decoder(nn.Module):
  """Context and speech to frames, with the previous frame fed back.

  The input of frame t is context_t + Linear(frame_{t-1}); of the first frame the context alone.
  """

  def __init__(
    self,
    frame_dim: int,
    speech_dim: int,
    width: int,
    heads: int,
    depth: int,
    period: int,
    align_window: int,
    history: int,
    speech_layers: int,
    feedback: bool,
    dropout: float = 0.0,
  ):
    super().__init__()
    self.drop = nn.Dropout(dropout)
    self.frame_dim, self.width, self.heads, self.period = frame_dim, width, heads, period
    self.align_window, self.history, self.feedback = align_window, history, feedback
    self.frame_in = nn.Linear(frame_dim, width)
    self.speech = layers.SpeechTokens(speech_dim, width, speech_layers)
    self.blocks = nn.ModuleList(DecoderBlock(width, heads, align_window) for _ in range(depth))
    self.norm = layer_norm(width)
    self.head = nn.Linear(width, frame_dim)

  def forward(
    self,
    frames: Tensor,
    context: Tensor,
    speech: Tensor,
    mask: Tensor,
    keep: Tensor | None = None,
  ) -> Tensor:
    """All frames at once, as in training: frame t-1 of `frames` [B, T, E] is fed to frame t.

    context [B, T, W], speech [B, 2T, D], mask [B, T] -> [B, T, E]; where `keep` [B, T] is 0 a frame
    is not fed on.
    """
    keep = mask if keep is None else keep * mask
    fed = blank(self.frame_in(blank(frames, keep)), keep)
    if not self.feedback:
      fed = torch.zeros_like(fed)
    x = context + functional.pad(fed, (0, 0, 1, 0))[:, :-1]
    times = torch.arange(x.shape[1], device=x.device)
    x = self.drop(x + layers.periodic(times, self.width, self.period))
    ages = times[:, None] - times[None]
    causal = layers.causal_bias(ages, self.heads, self.period, self.history)
    bias = causal[None] + layers.mask_bias(mask)
    tokens = self.speech(speech, mask.repeat_interleave(2, 1))
    for block in self.blocks:
      x = block(x, bias, tokens, mask)
    return self.head(self.norm(x))

  def rollout(self, context: Tensor, speech: Tensor, mask: Tensor) -> Tensor:
    """Frame by frame on its own outputs, with cached keys and values -> [B, T, E]."""
    batch, frames, _ = context.shape
    if not self.feedback:
      return self(context.new_zeros(batch, frames, self.frame_dim), context, speech, mask)
    valid = mask.repeat_interleave(2, 1)
    tokens = self.speech(speech, valid)
    pad = 2 * self.align_window  # the window of the first and of the last frame sticks out
    heard = [
      [
        functional.pad(part, (0, 0, 0, 0, pad, pad))
        for part in block.cross_attention.memory(tokens)
      ]
      for block in self.blocks
    ]
    valid = functional.pad(valid, (pad, pad))
    size = window_rows(self.align_window)
    own = torch.arange(size, device=mask.device) // 2 == self.align_window  # never blocked
    times = torch.arange(frames, device=mask.device)
    positions = layers.periodic(times, self.width, self.period)
    empty = context.new_zeros(batch, frames, self.heads, self.width // self.heads)
    past = [(empty.clone(), empty.clone()) for _ in self.blocks]
    fed, made = context.new_zeros(batch, self.width), []
    for t in range(frames):
      first = max(0, t + 1 - self.history) if self.history else 0
      ages = (t - times[first : t + 1])[None]
      bias = layers.causal_bias(ages, self.heads, self.period)[None]
      rows = slice(2 * t, 2 * t + size)
      seen = (valid[:, rows] > 0) | own
      x = (context[:, t] + fed + positions[t])[:, None]
      for block, cache, memory in zip(self.blocks, past, heard, strict=True):
        key, value = (part[:, rows] for part in memory)
        x = block.step(x, cache, first, t, bias, (key, value), seen)
      made.append(self.head(self.norm(x))[:, 0])
      fed = self.frame_in(made[-1])
    return torch.stack(made, 1)


def window_rows(align_window: int) -> int:
  """Speech rows that one frame sees: two for each frame of its window."""
  return 2 * (2 * align_window + 1)
