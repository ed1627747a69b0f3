"""The autoregressive Transformer decoder with aligned cross-attention to speech (method 2.6).

Three ways to run the same weights: all frames at once with given previous frames (training), frame
by frame on its own outputs (`rollout`), and one frame whenever its speech has come (`start`, then
`listen` and `step`; `rollout` is a scan over these). They agree.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from gmtalker_jax.core.arrays import blank, group
from gmtalker_jax.models import layers
from gmtalker_jax.models.layers import BLOCKED, Attention, Dense, FeedForward, KeyValue

BLOCK_FRAMES = 16  # that attend to their speech together
PARALLEL_FRAMES = 1024  # longer clips are walked frame by frame, which needs little memory


class Heard(NamedTuple):
  """Speech rows as the blocks attend to them. Consecutive rows may be joined, padded and cut."""

  memories: tuple[KeyValue, ...]  # of each block: [B, N, heads, W / heads]
  valid: jax.Array  # [B, N] 0 = masked, or outside the clip

  def pad(self, rows: int) -> 'Heard':
    """Adds `rows` rows of nothing at both ends."""

    def wider(a):
      return jnp.pad(a, ((0, 0), (rows, rows), *((0, 0),) * (a.ndim - 2)))

    return jax.tree.map(wider, self)

  def cut(self, start: jax.Array | int, rows: int) -> 'Heard':
    """The rows start .. start + rows - 1."""
    return jax.tree.map(lambda a: jax.lax.dynamic_slice_in_dim(a, start, rows, axis=1), self)


class Carry(NamedTuple):
  """All that the decoder knows of the past: what a live session keeps between two frames."""

  frame: jax.Array  # int32 [], the number of the coming frame
  fed: jax.Array  # [B, W] what the last frame adds to the input of the coming one
  past: tuple[KeyValue, ...]  # of each block: [B, N, heads, W / heads], frame t in slot t mod N


class DecoderBlock(nn.Module):
  """Causal self-attention, cross-attention to a window of speech, feed-forward."""

  width: int
  heads: int
  align_window: int
  dtype: str = 'float32'  # see models/layers.py

  def setup(self):
    """Creates the parts."""
    self.self_norm, self.cross_norm, self.feed_norm = (nn.LayerNorm() for _ in range(3))
    self.self_attention = Attention(self.width, self.heads, self.dtype)
    self.cross_attention = Attention(self.width, self.heads, self.dtype)
    self.feed_forward = FeedForward(self.width, self.dtype)
    # Which of the window's rows a head prefers; without it the rows would have no order.
    shape = (self.heads, window_rows(self.align_window))
    self.row_bias = self.param('row_bias', nn.initializers.zeros, shape)

  def __call__(self, x: jax.Array, bias: jax.Array, tokens: jax.Array, mask: jax.Array):
    """x [B, T, W], bias [B, heads, T, T], tokens [B, 2T, W], mask [B, T] -> [B, T, W]."""
    y = self.self_norm(x)
    x = checkpoint_name(x + self.self_attention(y, self.self_attention.memory(y), bias), 'layer')
    x = checkpoint_name(x + self._listen(self.cross_norm(x), tokens, mask), 'layer')
    return checkpoint_name(x + self.feed_forward(self.feed_norm(x)), 'block')

  def step(self, x, slot, bias, past: KeyValue, memory: KeyValue, valid: jax.Array):
    """One frame: x [B, 1, W], `memory` and `valid` [B, rows] of its window. -> (x, past)."""
    y = self.self_norm(x)
    new = self.self_attention.memory(y)
    past = KeyValue(
      *(jax.lax.dynamic_update_slice_in_dim(p, n, slot, 1) for p, n in zip(past, new, strict=True))
    )
    x = x + self.self_attention(y, past, bias)
    x = x + self.cross_attention(self.cross_norm(x), memory, self._window(valid, 1))
    return x + self.feed_forward(self.feed_norm(x)), past

  def _listen(self, x: jax.Array, tokens: jax.Array, mask: jax.Array) -> jax.Array:
    """Cross-attention of x [B, T, W] to each frame's window of the tokens [B, 2T, W].

    In blocks of frames, each beside the rows that its frames see: all rows of the clip under a mask
    would cost its length squared.
    """
    frames = max(BLOCK_FRAMES, self.align_window) if self.align_window else 1
    attention = self.cross_attention
    heard = attention.memory(tokens), jnp.repeat(mask, 2, axis=1)
    memory, valid = jax.tree.map(lambda rows: self._blocks(rows, frames), heard)
    query = group(attention.ask(x), frames)
    query = query.reshape(-1, *query.shape[2:])
    seen = attention.look(query, memory, self._window(valid, frames))
    return attention.out(seen.reshape(len(x), -1, self.width)[:, : x.shape[1]])

  def _blocks(self, rows: jax.Array, frames: int) -> jax.Array:
    """[B, 2T, ...] -> [B blocks, rows that a block of `frames` frames sees, ...], outside zeros."""
    own, reach = group(rows, 2 * frames), 2 * self.align_window
    rest = ((0, 0),) * (own.ndim - 2)
    before = jnp.pad(own[:, :-1, 2 * frames - reach :], ((0, 0), (1, 0), *rest))
    after = jnp.pad(own[:, 1:, :reach], ((0, 0), (0, 1), *rest))
    seen = jnp.concatenate([before, own, after], axis=2)
    return seen.reshape(-1, *seen.shape[2:])

  def _window(self, valid: jax.Array, frames: int) -> jax.Array:
    """What each of a block's frames sees: valid [N, rows] -> bias [N, heads, frames, rows]."""
    place = jnp.arange(valid.shape[1])[None] - 2 * jnp.arange(frames)[:, None]
    last = window_rows(self.align_window) - 1
    inside = (place >= 0) & (place <= last)
    # A frame's own two rows are never blocked, so that a masked frame stays finite.
    own = place // 2 == self.align_window
    seen = inside[None] & ((valid[:, None] > 0) | own[None])
    bias = self.row_bias[:, jnp.clip(place, 0, last)]
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
  dtype: str = 'float32'  # see models/layers.py; frames are float32

  def setup(self):
    """Creates the parts."""
    self.frame_in = Dense(self.width, dtype=layers.compute(self.dtype))
    self.speech = layers.SpeechTokens(self.width, self.speech_layers, self.dtype)
    self.drop = layers.Dropout(self.dropout)
    self.blocks = [
      DecoderBlock(self.width, self.heads, self.align_window, self.dtype)
      for _ in range(self.layers)
    ]
    self.norm = nn.LayerNorm()
    self.head = Dense(self.frame_dim, kernel_init=nn.initializers.zeros)

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
    x = self.drop(x)
    ages = times[:, None] - times[None]
    causal = layers.causal_bias(ages, self.heads, self.period, self.history)
    bias = causal[None] + layers.mask_bias(mask)
    tokens = self.speech(speech, jnp.repeat(mask, 2, axis=1))
    for block in self.blocks:
      x = block(x, bias, tokens, mask)
    return self.head(self.norm(x))

  def rollout(self, context: jax.Array, speech: jax.Array, mask: jax.Array) -> jax.Array:
    """Frame by frame on its own outputs: context [B, T, W], speech [B, 2T, D] -> [B, T, E]."""
    batch, frames, _ = context.shape
    if not self.feedback and frames <= PARALLEL_FRAMES:
      none = jnp.zeros((batch, frames, self.frame_dim), context.dtype)
      return self(none, jnp.zeros_like(mask), context, speech, mask)
    pad = 2 * self.align_window
    heard = self.listen(speech, jnp.repeat(mask, 2, axis=1)).pad(pad)
    rows = window_rows(self.align_window)
    # Lifted out of flax: a bound module cannot be called inside lax.scan.
    decoder, variables = self.unbind()

    def step(carry, context):
      seen = heard.cut(2 * carry.frame, rows)
      return decoder.apply(variables, carry, context, seen, method='step')

    start = self.start(batch, frames, context.dtype)
    return jnp.swapaxes(jax.lax.scan(step, start, jnp.swapaxes(context, 0, 1))[1], 0, 1)

  def start(self, batch: int, frames: int, dtype: jax.typing.DTypeLike = jnp.float32) -> Carry:
    """Before the first frame.

    Room is made for `frames` frames of own past, or for `history` if that is less. A session may
    go on for longer: from then on the oldest frame is forgotten.
    """
    slots = min(self.history or frames, frames)
    shape = batch, slots, self.heads, self.width // self.heads
    empty = jnp.zeros(shape, layers.compute(self.dtype) or dtype)
    past = tuple(KeyValue(empty, empty) for _ in range(self.layers))
    return Carry(jnp.zeros((), jnp.int32), jnp.zeros((batch, self.width), dtype), past)

  def listen(self, speech: jax.Array, valid: jax.Array) -> Heard:
    """Any run of consecutive speech rows [B, N, D], `valid` [B, N], made ready for `step`.

    Each of the `speech_layers` looks at one row before and one after. So the outermost
    `speech_layers` rows of a run are right only where the clip ends there: start the run that many
    rows earlier, end it that many later, and cut them off. Rows outside the clip are not valid,
    and what they hold does not matter.
    """
    tokens = self.speech(speech, valid)
    return Heard(tuple(b.cross_attention.memory(tokens) for b in self.blocks), valid)

  def step(self, carry: Carry, context: jax.Array, heard: Heard) -> tuple[Carry, jax.Array]:
    """The coming frame, t = carry.frame: context [B, W] -> (carry, frame [B, E]).

    `heard` is what the frame sees and no more: the `window_rows` from 2 (t - align_window) to
    2 (t + align_window) + 1. With the rows that `listen` needs around them, a live session runs
    align_window + speech_layers / 2 frames behind its sound.
    """
    positions = layers.periodic(carry.frame[None], self.width, self.period)
    x = (context + carry.fed + positions)[:, None]
    slots = carry.past[0].key.shape[1]
    # The past is a ring: slot s holds the youngest frame that is s modulo its length.
    age = (carry.frame - jnp.arange(slots)) % slots
    age = jnp.where(age <= carry.frame, age, -1)
    bias = layers.causal_bias(age[None], self.heads, self.period)[None]
    updated = []
    for block, past, memory in zip(self.blocks, carry.past, heard.memories, strict=True):
      x, past = block.step(x, carry.frame % slots, bias, past, memory, heard.valid)
      updated.append(past)
    y = self.head(self.norm(x))[:, 0]
    fed = self.frame_in(y).astype(carry.fed.dtype) if self.feedback else carry.fed
    return Carry(carry.frame + 1, fed, tuple(updated)), y


def window_rows(align_window: int) -> int:
  """Speech rows that one frame sees: two for each frame of its window."""
  return 2 * (2 * align_window + 1)
