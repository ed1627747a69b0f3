"""The autoregressive Transformer decoder with aligned cross-attention to speech (method 2.6).

Two ways to run the same weights: all frames at once with given previous frames (training), and
frame by frame on its own outputs with a cache of keys and values (`rollout`). They agree.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from gmtalker_jax.core.arrays import blank
from gmtalker_jax.models import layers
from gmtalker_jax.models.layers import BLOCKED, Attention, FeedForward, KeyValue

PARALLEL_FRAMES = 1024  # longer clips are walked frame by frame, which needs little memory


class DecoderBlock(nn.Module):
  """Causal self-attention, cross-attention to a window of speech, feed-forward."""

  width: int
  heads: int
  align_window: int

  def setup(self):
    """Creates the parts."""
    self.self_norm, self.cross_norm, self.feed_norm = (nn.LayerNorm() for _ in range(3))
    self.self_attention = Attention(self.width, self.heads)
    self.cross_attention = Attention(self.width, self.heads)
    self.feed_forward = FeedForward(self.width)
    # Which of the window's rows a head prefers; without it the rows would have no order.
    self.row_bias = self.param('row_bias', nn.initializers.zeros, (self.heads, self.rows))

  @property
  def rows(self) -> int:
    """Speech rows that one frame sees."""
    return 2 * (2 * self.align_window + 1)

  def __call__(self, x: jax.Array, bias: jax.Array, tokens: jax.Array, mask: jax.Array):
    """x [B, T, W], bias [B, heads, T, T], tokens [B, 2T, W], mask [B, T] -> [B, T, W]."""
    y = self.self_norm(x)
    x = x + self.self_attention(y, self.self_attention.memory(y), bias)
    memory = self.cross_attention.memory(tokens)
    x = x + self.cross_attention(self.cross_norm(x), memory, self._window(mask))
    return x + self.feed_forward(self.feed_norm(x))

  def speech_memory(self, tokens: jax.Array) -> KeyValue:
    """Keys and values of tokens [B, 2T, W], padded by the window on both sides."""
    pad = ((0, 0), (2 * self.align_window,) * 2, (0, 0), (0, 0))
    return KeyValue(*(jnp.pad(a, pad) for a in self.cross_attention.memory(tokens)))

  def step(self, x, slot, frame, bias, cache: KeyValue, memory: KeyValue, rows: jax.Array):
    """One frame: x [B, 1, W]; `rows` [B, rows] 1 = valid speech. -> (x, cache)."""
    y = self.self_norm(x)
    new = self.self_attention.memory(y)
    cache = KeyValue(
      *(jax.lax.dynamic_update_slice_in_dim(c, n, slot, 1) for c, n in zip(cache, new, strict=True))
    )
    x = x + self.self_attention(y, cache, bias)
    seen = KeyValue(
      *(jax.lax.dynamic_slice_in_dim(a, 2 * frame, self.rows, axis=1) for a in memory)
    )
    bias = self.row_bias[None, :, None] + jnp.where(rows > 0, 0.0, BLOCKED)[:, None, None]
    x = x + self.cross_attention(self.cross_norm(x), seen, bias)
    return x + self.feed_forward(self.feed_norm(x)), cache

  def _window(self, mask: jax.Array) -> jax.Array:
    frames = mask.shape[1]
    place = jnp.arange(2 * frames)[None] - 2 * jnp.arange(frames)[:, None] + 2 * self.align_window
    inside = (place >= 0) & (place < self.rows)
    own = (place // 2) == self.align_window
    seen = inside[None] & ((jnp.repeat(mask, 2, axis=1)[:, None] > 0) | own[None])
    bias = self.row_bias[:, jnp.clip(place, 0, self.rows - 1)]
    return jnp.where(seen[:, None], bias[None], BLOCKED)


class Decoder(nn.Module):
  """Context and speech to frames, with the previous frame fed back.

  Input of frame t: context_t + Linear(frame_{t-1}); the first frame, and every frame whose
  feedback is dropped, has the context alone. `feedback=False` never feeds back.
  """

  frame_dim: int
  width: int
  heads: int
  layers: int
  period: int = 25
  align_window: int = 0  # half width of the speech window, in frames
  history: int = 0  # frames of its own past that a frame sees; 0 = all
  speech_layers: int = 0
  feedback: bool = True
  dropout: float = 0.0

  def setup(self):
    """Creates the parts."""
    self.frame_in = nn.Dense(self.width)
    self.speech = layers.SpeechTokens(self.width, self.speech_layers)
    self.drop = nn.Dropout(self.dropout)
    self.blocks = [
      DecoderBlock(self.width, self.heads, self.align_window) for _ in range(self.layers)
    ]
    self.norm = nn.LayerNorm()
    self.head = nn.Dense(self.frame_dim, kernel_init=nn.initializers.zeros)

  def __call__(
    self, frames: jax.Array, keep: jax.Array, context: jax.Array, speech: jax.Array, mask: jax.Array
  ) -> jax.Array:
    """All frames at once.

    `frames` [B, T, E]: frame t-1 is the feedback of frame t. `keep` [B, T]: 0 at t-1 withholds it.
    `context` [B, T, W], `speech` [B, 2T, D], `mask` [B, T]: masked frames touch no other frame.
    """
    keep = keep * mask
    fed = blank(self.frame_in(blank(frames, keep)), keep)
    if not self.feedback:
      fed = jnp.zeros_like(fed)
    x = context + jnp.pad(fed, ((0, 0), (1, 0), (0, 0)))[:, :-1]
    times = jnp.arange(x.shape[1])
    x = x + layers.periodic(times, self.width, self.period)[None]
    x = self.drop(x, deterministic=not self.has_rng('dropout'))
    ages = times[:, None] - times[None]
    causal = layers.causal_bias(ages, self.heads, self.period, self.history)
    bias = causal[None] + layers.mask_bias(mask)
    tokens = self.speech(speech, mask)
    for block in self.blocks:
      x = block(x, bias, tokens, mask)
    return self.head(self.norm(x))

  def rollout(self, context: jax.Array, speech: jax.Array, mask: jax.Array) -> jax.Array:
    """Frame by frame on its own outputs: context [B, T, W], speech [B, 2T, D] -> [B, T, E]."""
    batch, frames, _ = context.shape
    if not self.feedback and frames <= PARALLEL_FRAMES:
      none = jnp.zeros((batch, frames, self.frame_dim), context.dtype)
      return self(none, jnp.zeros_like(mask), context, speech, mask)
    tokens = self.speech(speech, mask)
    memories = [block.speech_memory(tokens) for block in self.blocks]
    pad = 2 * self.align_window
    rows = jnp.pad(jnp.repeat(mask, 2, axis=1), ((0, 0), (pad, pad)))
    # Lifted out of flax: a bound module cannot be called inside lax.scan.
    decoder, variables = self.unbind()

    def step(carry, inputs):
      return decoder.apply(variables, *carry, *inputs, memories, rows, method='step')

    slots = min(self.history or frames, frames)
    empty = jnp.zeros((batch, slots, self.heads, self.width // self.heads), context.dtype)
    caches = [KeyValue(empty, empty) for _ in self.blocks]
    start = jnp.zeros((batch, self.width), context.dtype)
    steps = (jnp.arange(frames), jnp.swapaxes(context, 0, 1))
    return jnp.swapaxes(jax.lax.scan(step, (start, caches), steps)[1], 0, 1)

  def step(self, fed, caches, frame, context, memories, rows):
    """Frame `frame`: fed [B, W] and context [B, W] -> ((next fed, caches), [B, E])."""
    positions = layers.periodic(frame[None], self.width, self.period)
    x = (context + fed + positions)[:, None]
    slots = caches[0].key.shape[1]
    # The cache is a ring: slot s holds the youngest frame that is s modulo its length.
    age = (frame - jnp.arange(slots)) % slots
    age = jnp.where(age <= frame, age, -1)
    bias = layers.causal_bias(age[None], self.heads, self.period)[None]
    width = self.blocks[0].rows
    seen = jax.lax.dynamic_slice_in_dim(rows, 2 * frame, width, axis=1)
    own = jnp.arange(width) // 2 == self.align_window
    seen = jnp.where(own[None], 1.0, seen)
    updated = []
    for block, cache, memory in zip(self.blocks, caches, memories, strict=True):
      x, cache = block.step(x, frame % slots, frame, bias, cache, memory, seen)
      updated.append(cache)
    y = self.head(self.norm(x))[:, 0]
    fed = self.frame_in(y) if self.feedback else jnp.zeros_like(fed)
    return (fed, updated), y
