"""GMEG: speech and emotion weights to expression coefficients (method 2)."""

from typing import Annotated, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gmtalker_jax.core import distributions
from gmtalker_jax.core.arrays import per_frame
from gmtalker_jax.core.bounds import BelowOne, Count, Heads, OneOf, Whole
from gmtalker_jax.core.distributions import Gaussian
from gmtalker_jax.core.errors import InputError, check_choice
from gmtalker_jax.data import schema
from gmtalker_jax.models import layers
from gmtalker_jax.models.decoder import Decoder
from gmtalker_jax.models.layers import Dense
from gmtalker_jax.models.mapper import MLPMapper, TransformerMapper

MAPPERS = {'mlp': MLPMapper, 'transformer': TransformerMapper}
SAMPLING = ('interpolation', 'component', 'moment')
DECODERS = ('autoregressive', 'parallel')


class Posterior(NamedTuple):
  """q(w | β, a) and q(z | β, a)."""

  w: Gaussian  # [B, w_dim]
  z: Gaussian  # [B, Z]


class ExpressionGenerator(nn.Module):
  """The Gaussian-mixture expression generator. Coefficients and speech are standardised.

  Defaults: method 2.6, 8; `decoder_mode='parallel'` never feeds frames back.
  """

  speech_dim: Count
  expression_dim: Count = 50
  emotions: Count = 8  # K, the components of the mixture
  told: bool = False  # the decoder is told the emotion beside z; with one component: a CVAE
  subjects: Count = 1
  width: Count = 256
  latent_dim: Count = 256
  w_dim: Count = 64
  heads: Heads = 4
  encoder_layers: Count = 4
  decoder_layers: Count = 2
  mapper: Annotated[str, OneOf(MAPPERS)] = 'mlp'
  align_window: Whole = 0  # half width of cross-attention in video frames
  period: Count = 25
  history: Whole = 0  # own past frames seen by the decoder; 0 = all
  speech_layers: Whole = 0  # context layers over the speech rows; 0 = the paper
  decoder_mode: Annotated[str, OneOf(DECODERS)] = 'autoregressive'
  dropout: BelowOne = 0.1
  # of the products in encoder and decoder; mixture, flow and densities stay float32
  dtype: Annotated[str, OneOf(layers.DTYPES)] = 'float32'

  def setup(self):
    """Creates the parts."""
    check_choice('mapper', self.mapper, MAPPERS)
    check_choice('decoder_mode', self.decoder_mode, DECODERS)
    self.tokens = layers.FrameTokens(self.width, self.dtype)
    self.encoder = layers.Encoder(
      self.width, self.heads, self.encoder_layers, self.period, self.period, self.dropout,
      self.dtype,
    )  # fmt: skip
    self.pool_w, self.pool_z = (layers.AttentionPooling(self.width) for _ in range(2))
    self.head_w, self.head_z = Dense(2 * self.w_dim), Dense(2 * self.latent_dim)
    self.mog_mapper = MAPPERS[self.mapper](self.emotions, self.latent_dim, self.width)
    self.subject_table = nn.Embed(self.subjects, self.width)
    if self.told:
      self.emotion_in = Dense(self.width, use_bias=False)
    self.latent_in = Dense(self.width) if self.latent_dim != self.width else (lambda z: z)
    self.decoder = Decoder(
      self.expression_dim, self.width, self.heads, self.decoder_layers, self.period,
      self.align_window, self.history, self.speech_layers,
      self.decoder_mode == 'autoregressive', self.dropout, self.dtype,
    )  # fmt: skip

  def __call__(self, expression, speech, mask, subject) -> jax.Array:
    """Reconstruction through the posterior means; touches every parameter."""
    posterior = self.encode(expression, speech, mask)
    components = self.mixture(posterior.w.mean)
    z = posterior.z.mean + 0.0 * components.mean.sum()
    return self.decode(expression, speech, z, mask, self.embed(subject))

  def encode(self, expression: jax.Array, speech: jax.Array, mask: jax.Array) -> Posterior:
    """expression [B, T, E], speech [B, 2T, D], mask [B, T] -> posteriors of w and z."""
    self._check_speech(speech)
    x = self.encoder(self.tokens(expression, speech, mask), mask)
    return Posterior(
      _gaussian(self.head_w(self.pool_w(x, mask))), _gaussian(self.head_z(self.pool_z(x, mask)))
    )

  def mixture(self, w: jax.Array) -> Gaussian:
    """The prior's components p(z | w, e_k): w [B, w_dim] -> [B, K, Z]."""
    return self.mog_mapper(w)

  def embed(
    self, subject: jax.Array | None, rows: int = 1, emotion: jax.Array | None = None
  ) -> jax.Array:
    """s_n of training people [B] -> [B, width]; a negative index, or None, is the mean person.

    A decoder that is told the emotion [B, N] or [B, T, N] hears of it beside s_n: [B, T, width]
    then. None is all emotions alike.
    """
    mean = self.subject_table.embedding.mean(0)[None]
    if subject is None:
      found = jnp.broadcast_to(mean, (rows, self.width))
    else:
      known = (subject >= 0)[:, None]
      found = jnp.where(known, self.subject_table(jnp.maximum(subject, 0)), mean)
    if not self.told:
      return found
    if emotion is None:
      emotion = jnp.full((len(found), len(schema.EMOTIONS)), 1 / len(schema.EMOTIONS))
    told = self.emotion_in(emotion)
    return told + (found if told.ndim == 2 else found[:, None])

  def decode(
    self,
    frames: jax.Array,
    speech: jax.Array,
    z: jax.Array,
    mask: jax.Array,
    subject: jax.Array,
    keep: jax.Array | None = None,
  ) -> jax.Array:
    """All frames at once, `frames` [B, T, E] being the ones fed back (frame t sees t-1).

    z [B, Z] or [B, T, Z], subject from `embed`; `keep` [B, T] 0 withholds a frame.
    """
    context = self.context(z, subject, frames.shape[1])
    keep = jnp.ones_like(mask) if keep is None else keep
    return self.decoder(frames, keep, context, speech, mask)

  def context(self, z: jax.Array, subject: jax.Array, frames: int) -> jax.Array:
    """What the decoder is told at each frame: z [B, Z] or [B, T, Z] -> [B, T, width]."""
    return per_frame(self.latent_in(z), frames) + per_frame(subject, frames)

  def rollout(self, speech, z, mask, subject) -> jax.Array:
    """The decoder on its own outputs: speech [B, 2T, D], z [B, Z] or [B, T, Z] -> [B, T, E]."""
    return self.decoder.rollout(self.context(z, subject, mask.shape[1]), speech, mask)

  def sample(
    self,
    speech: jax.Array,
    emotion: jax.Array,
    key: jax.Array,
    temperature: float = 1.0,
    mode: str = 'interpolation',
    subject: jax.Array | None = None,
    mask: jax.Array | None = None,
  ) -> tuple[jax.Array, jax.Array]:
    """Speech [B, 2T, D] and emotion weights [B, K] or [B, T, K] -> ([B, T, E], z [B, T, Z]).

    `subject` [B] int32 (None = the mean person), `mask` [B, T] for clips padded at the end. The
    key is consumed.
    """
    self._check_speech(speech)
    batch, frames = speech.shape[0], speech.shape[1] // 2
    mask = jnp.ones((batch, frames)) if mask is None else mask
    z = self.sample_latent(emotion, key, temperature, mode)
    z = per_frame(z, frames)
    return self.rollout(speech, z, mask, self.embed(subject, batch, emotion)), z

  def sample_latent(self, emotion, key, temperature=1.0, mode='interpolation') -> jax.Array:
    """z of emotion weights [B, K] -> [B, Z] or [B, T, K] -> [B, T, Z] (method 2.7).

    interpolation: Σ e_k z^k with one noise for all k. component: k ~ Cat(e), one draw for all
    frames. moment: the moment-matched Gaussian. The three agree on one-hot weights.
    """
    check_choice('sampling mode', mode, SAMPLING)
    emotion = self.simplex(emotion)
    batch = emotion.shape[0]
    keys = jax.random.split(key, 3)
    components = self.mixture(distributions.row_noise(keys[0], (batch, self.w_dim)))
    noise = distributions.row_noise(keys[1], (batch, self.latent_dim))
    flat = emotion.ndim == 2
    emotion = emotion[:, None] if flat else emotion
    if mode == 'moment':
      matched = distributions.moment_match(emotion, Gaussian(*(c[:, None] for c in components)))
      z = distributions.sample(matched, noise[:, None], temperature)
    else:
      if mode == 'component':
        gumbel = -jnp.log(-jnp.log(_row_uniform(keys[2], (batch, self.emotions))))
        chosen = jnp.argmax(jnp.log(jnp.maximum(emotion, 1e-30)) + gumbel[:, None], axis=-1)
        emotion = jax.nn.one_hot(chosen, self.emotions)
      each = distributions.sample(components, noise[:, None], temperature)  # [B, K, Z]
      z = jnp.einsum('btk,bkz->btz', emotion, each)
    return z[:, 0] if flat else z

  def simplex(self, emotion: jax.Array) -> jax.Array:
    """Weights of emotions [..., N] -> weights of components [..., K].

    Those of a model of one component are their sum. Components beyond the emotions have no name:
    no weight reaches them, only clips without a label do (method 2.5). Raises InputError.
    """
    if self.emotions == 1:
      return emotion.sum(-1, keepdims=True)
    unnamed = self.emotions - emotion.shape[-1]
    if unnamed > 0 and emotion.shape[-1] == len(schema.EMOTIONS):
      return jnp.pad(emotion, [(0, 0)] * (emotion.ndim - 1) + [(0, unnamed)])
    if unnamed:
      raise InputError(
        f'got weights of {emotion.shape[-1]} emotions, expected {self.emotions}, give one per '
        'component of the mixture'
      )
    return emotion

  def _check_speech(self, speech: jax.Array) -> None:
    if speech.shape[-1] != self.speech_dim or speech.shape[1] % 2:
      raise InputError(
        f'got speech {speech.shape}, expected [B, 2T, {self.speech_dim}], use the encoder that the '
        'model was trained with'
      )


def _gaussian(x: jax.Array) -> Gaussian:
  mean, log_variance = jnp.split(x, 2, axis=-1)
  return Gaussian(mean, jnp.clip(log_variance, -10.0, 10.0))


def _row_uniform(key: jax.Array, shape: tuple[int, int]) -> jax.Array:
  keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(shape[0]))
  return jax.vmap(lambda k: jax.random.uniform(k, shape[1:], minval=1e-6, maxval=1 - 1e-6))(keys)
