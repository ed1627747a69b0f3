"""Transformer parts that the expression and the motion generator share. All are pre-norm.

With the dtype 'bfloat16' the products of layers and attention are; parameters, sums along the
residual path, norms and softmax stay float32.

No part knows an absolute time: positions are periodic and distances enter as biases, so a model
trained on windows of a few seconds works on clips of any length.
"""

import functools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from gmtalker_jax.core import products, rng
from gmtalker_jax.core.arrays import blank

BLOCKED = -1e9  # finite: a row with nothing to see stays finite
# Up to here attention is sums, not products of matrices, of which a CPU takes small ones slowly.
FEW_ROWS = 2
DTYPES = ('float32', 'bfloat16')
Dense = functools.partial(nn.Dense, dot_general=products.dot_general)


def compute(dtype: str) -> jax.typing.DTypeLike | None:
  """What a layer casts to; None = nothing (a test computes in float64)."""
  return None if dtype == 'float32' else jnp.dtype(dtype)


class KeyValue(NamedTuple):
  """What attention looks at, per head."""

  key: jax.Array  # [B, N, heads, width / heads]
  value: jax.Array


class Dropout(nn.Module):
  """Zeros a share of [B, ...] and scales the rest up, by row; nothing without a `dropout` rng."""

  rate: float

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, ...] -> [B, ...]."""
    if not self.rate or not self.has_rng('dropout'):
      return x
    keep = rng.bernoulli(self.make_rng('dropout'), 1.0 - self.rate, x.shape)
    return jnp.where(keep, x / (1.0 - self.rate), 0.0)


class Attention(nn.Module):
  """Multi-head attention with an additive bias. Softmax in float32."""

  width: int
  heads: int
  dtype: str = 'float32'

  def setup(self):
    """Creates the parts."""
    dtype = compute(self.dtype)
    self.query = Dense(self.width, dtype=dtype)
    self.key_value = Dense(2 * self.width, dtype=dtype)
    self.out = Dense(self.width, dtype=dtype)

  def memory(self, x: jax.Array) -> KeyValue:
    """Keys and values of x [B, N, width]."""
    key, value = jnp.split(self.key_value(x), 2, axis=-1)
    return KeyValue(self._heads(key), self._heads(value))

  def __call__(self, x: jax.Array, memory: KeyValue, bias: jax.Array) -> jax.Array:
    """x [B, Q, width], bias [1 | B, heads, Q, N] -> [B, Q, width]."""
    return self.out(self.look(self.ask(x), memory, bias))

  def ask(self, x: jax.Array) -> jax.Array:
    """The queries of x [B, Q, width]: [B, Q, heads, width / heads]."""
    return self._heads(self.query(x)) * (self.width // self.heads) ** -0.5

  def look(self, query: jax.Array, memory: KeyValue, bias: jax.Array) -> jax.Array:
    """What queries [B, Q, heads, width / heads] see, for `out`: [B, Q, width]."""
    full = jnp.float32 if compute(self.dtype) else None
    if memory.key.shape[1] <= FEW_ROWS:
      # In float32, else each product would be rounded to bfloat16.
      seen = _few(query.astype(full or query.dtype), memory, bias).astype(memory.value.dtype)
    else:
      scores = jnp.einsum('bqhd,bnhd->bhqn', query, memory.key, preferred_element_type=full)
      weights = jax.nn.softmax(scores + bias, axis=-1).astype(memory.value.dtype)
      seen = jnp.einsum('bhqn,bnhd->bqhd', weights, memory.value)
    return seen.reshape(*seen.shape[:2], self.width)

  def _heads(self, x: jax.Array) -> jax.Array:
    return x.reshape(*x.shape[:-1], self.heads, -1)


def _few(query: jax.Array, memory: KeyValue, bias: jax.Array) -> jax.Array:
  """Attention row by row: query [B, Q, heads, D], bias [1 | B, heads, Q, N] -> as the query."""
  rows = range(memory.key.shape[1])
  keys, values = ([a[:, None, n] for n in rows] for a in memory)
  places = bias.transpose(0, 2, 1, 3)
  scores = [(query * key).sum(-1) + places[..., n] for n, key in enumerate(keys)]
  top = jax.lax.stop_gradient(functools.reduce(jnp.maximum, scores))
  weights = [jnp.exp(score - top) for score in scores]
  total = sum(weights[1:], weights[0])
  parts = [(w / total)[..., None] * value for w, value in zip(weights, values, strict=True)]
  return sum(parts[1:], parts[0])


class FeedForward(nn.Module):
  """Two layers with GELU, four times as wide inside."""

  width: int
  dtype: str = 'float32'

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[..., width] -> [..., width]."""
    dtype = compute(self.dtype)
    x = nn.gelu(Dense(4 * self.width, dtype=dtype, name='expand')(x))
    return Dense(self.width, dtype=dtype, name='contract')(x)


class EncoderBlock(nn.Module):
  """Bidirectional self-attention and feed-forward."""

  width: int
  heads: int
  dtype: str = 'float32'

  @nn.compact
  def __call__(self, x: jax.Array, bias: jax.Array, given: jax.Array | None = None) -> jax.Array:
    """x [B, N, width], bias [1 | B, heads, N, G + N] -> [B, N, width].

    `given` [B, G, width] are tokens that x sees in front of its own and that stay as they are.
    """
    attention = Attention(self.width, self.heads, self.dtype, name='attention')
    y = nn.LayerNorm(name='attention_norm')(x)
    seen = y if given is None else jnp.concatenate([given, y], axis=1)
    x = checkpoint_name(x + attention(y, attention.memory(seen), bias), 'layer')
    y = nn.LayerNorm(name='feed_norm')(x)
    x = x + FeedForward(self.width, self.dtype, name='feed_forward')(y)
    return checkpoint_name(x, 'block')


class Encoder(nn.Module):
  """A bidirectional Transformer over a masked sequence."""

  width: int
  heads: int
  layers: int
  period: int  # of the positions
  reach: int = 1  # positions per unit of the distance bias
  dropout: float = 0.0
  dtype: str = 'float32'

  @nn.compact
  def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
    """x [B, N, width], mask [B, N] -> [B, N, width]; masked positions are seen by none."""
    x = x + periodic(jnp.arange(x.shape[1]), self.width, self.period)[None]
    x = Dropout(self.dropout)(x)
    bias = distance_bias(x.shape[1], self.heads, self.reach)[None] + mask_bias(mask)
    for i in range(self.layers):
      x = EncoderBlock(self.width, self.heads, self.dtype, name=f'blocks_{i}')(x, bias)
    return nn.LayerNorm(name='norm')(x)


class FrameTokens(nn.Module):
  """One token per video frame from coefficients and the frame's two speech rows (method 2.6)."""

  width: int
  dtype: str = 'float32'

  @nn.compact
  def __call__(self, frames: jax.Array, speech: jax.Array, mask: jax.Array) -> jax.Array:
    """frames [B, T, E], speech [B, 2T, D], mask [B, T] -> [B, T, width]."""
    pairs = speech.reshape(*frames.shape[:2], -1)
    dtype = compute(self.dtype)
    x = Dense(self.width, dtype=dtype, name='frames')(blank(frames, mask))
    return x + Dense(self.width, dtype=dtype, name='speech')(blank(pairs, mask))


class SpeechTokens(nn.Module):
  """Speech rows for cross-attention: a projection, and `layers` residual layers of three taps.

  The taps give context to features that have none of their own; 0 layers = the paper.
  """

  width: int
  layers: int = 0
  dtype: str = 'float32'

  @nn.compact
  def __call__(self, speech: jax.Array, valid: jax.Array) -> jax.Array:
    """speech [B, N, D], valid [B, N] -> [B, N, width]."""
    dtype = compute(self.dtype)
    x = Dense(self.width, dtype=dtype, name='project')(blank(speech, valid))
    for i in range(self.layers):
      y = nn.LayerNorm(name=f'norms_{i}')(x)
      y = jnp.pad(blank(y, valid), ((0, 0), (1, 1), (0, 0)))
      taps = jnp.concatenate([y[:, :-2], y[:, 1:-1], y[:, 2:]], axis=-1)
      x = x + nn.gelu(Dense(self.width, dtype=dtype, name=f'taps_{i}')(taps))
    return x


class AttentionPooling(nn.Module):
  """A weighted mean over time with learned weights."""

  width: int

  @nn.compact
  def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
    """x [B, T, width], mask [B, T] -> [B, width]."""
    hidden = jnp.tanh(Dense(self.width, name='hidden')(x))
    scores = Dense(1, name='score')(hidden)[..., 0]
    weights = jax.nn.softmax(jnp.where(mask > 0, scores, BLOCKED), axis=-1)
    return jnp.einsum('bt,btw->bw', weights, blank(x, mask))


def periodic(positions: jax.Array, width: int, period: int) -> jax.Array:
  """Periodic positional encoding PE(t mod period): positions [T] -> [T, width] (method 2.6)."""
  rates = jnp.exp(-jnp.log(10_000.0) * jnp.arange(0, width, 2) / width)
  angles = (positions % period)[:, None] * rates[None]
  return jnp.stack([jnp.sin(angles), jnp.cos(angles)], axis=-1).reshape(-1, 2 * len(rates))[
    :, :width
  ]


def slopes(heads: int) -> jax.Array:
  """Slopes of the distance bias: 2^(-8/n), 2^(-16/n), ... for n heads."""
  return 2.0 ** (-8.0 * jnp.arange(1, heads + 1) / heads)


def causal_bias(age: jax.Array, heads: int, period: int, history: int = 0) -> jax.Array:
  """-slope * floor(age / period) for the past, blocked for the future (method 2.6).

  `age` [Q, N] is query time minus key time; ages of `history` and more are blocked too (0 = none).
  Returns [heads, Q, N].
  """
  seen = (age >= 0) & (age < history) if history else age >= 0
  bias = -slopes(heads)[:, None, None] * (age // period)[None]
  return jnp.where(seen[None], bias, BLOCKED)


def distance_bias(length: int, heads: int, reach: int = 1) -> jax.Array:
  """-slope * floor(distance / reach), both ways: [heads, length, length]."""
  positions = jnp.arange(length)
  distance = jnp.abs(positions[:, None] - positions[None]) // reach
  return -slopes(heads)[:, None, None] * distance[None]


def mask_bias(mask: jax.Array) -> jax.Array:
  """Blocks masked keys, but never a position from itself: mask [B, N] -> [B, 1, N, N]."""
  seen = (mask[:, None, :] > 0) | jnp.eye(mask.shape[1], dtype=bool)[None]
  return jnp.where(seen, 0.0, BLOCKED)[:, None]
