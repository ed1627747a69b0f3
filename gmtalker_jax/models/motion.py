"""NFMG: speech and noise to head pose, blinks and gaze (method 3)."""

from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp

from gmtalker_jax.core import distributions
from gmtalker_jax.core.arrays import blank, fan_out, group, per_frame
from gmtalker_jax.core.bijectors import coupling_flow
from gmtalker_jax.core.bounds import BelowOne, Count, Divides, Heads, OneOf, Whole
from gmtalker_jax.core.distributions import Gaussian
from gmtalker_jax.core.errors import InputError, check_choice
from gmtalker_jax.models import layers
from gmtalker_jax.models.decoder import Decoder
from gmtalker_jax.models.layers import Dense

OBJECTIVES = ('prior', 'posterior')
LAYOUTS = ('sequence', 'vector', 'none')
DECODERS = ('autoregressive', 'parallel')


class Conditioner(nn.Module):
  """The Transformer of one coupling: the unchanged half to (log_scale, shift) of the other.

  |log_scale| <= 2; the last layer is zero at the start, so the flow starts as the flips alone.
  """

  channels: int
  width: int
  heads: int
  layers: int
  period: int

  @nn.compact
  def __call__(self, unchanged: jax.Array, speech: jax.Array | None, mask: jax.Array):
    """unchanged [B, L, C2], speech [B, L, W] or None, mask [B, L] -> two of [B, L, channels]."""
    x = Dense(self.width, name='unchanged_in')(blank(unchanged, mask))
    if speech is not None:
      x = x + Dense(self.width, name='speech_in')(speech)
    encoder = layers.Encoder(self.width, self.heads, self.layers, self.period, name='encoder')
    head = Dense(2 * self.channels, kernel_init=nn.initializers.zeros, name='head')
    out = head(encoder(x, mask))
    log_scale, shift = jnp.split(out, 2, axis=-1)
    return 2.0 * jnp.tanh(log_scale / 2.0), shift


class MotionGenerator(nn.Module):
  """The normalizing-flow motion generator. Motion and speech are standardised.

  `flow_objective='prior'` is reading (B) of method 3.2 (the encoder speaks of z', the flow is the
  prior), 'posterior' reading (A). `latent_layout='vector'` has one latent per clip;
  'none' tells the decoder no latent at all: a regression, which gives the mean.
  """

  speech_dim: Count
  motion_dim: Count = 12
  latent_dim: Count = 16
  stride: Count = 4
  latent_layout: Annotated[str, OneOf(LAYOUTS)] = 'sequence'
  flow_steps: Whole = 4  # 0 = a Gaussian prior
  flow_width: Count = 64
  flow_layers: Count = 2
  flow_objective: Annotated[str, OneOf(OBJECTIVES)] = 'prior'
  flow_audio_cond: bool = False
  width: Count = 256
  heads: Annotated[Heads, Divides('flow_width')] = 4
  encoder_layers: Count = 4
  decoder_layers: Count = 2
  align_window: Whole = 0
  period: Count = 25
  history: Whole = 0
  speech_layers: Whole = 0
  decoder_mode: Annotated[str, OneOf(DECODERS)] = 'autoregressive'
  dropout: BelowOne = 0.1
  # of the products in encoder and decoder; mixture, flow and densities stay float32
  dtype: Annotated[str, OneOf(layers.DTYPES)] = 'float32'

  def setup(self):
    """Creates the parts."""
    check_choice('flow_objective', self.flow_objective, OBJECTIVES)
    check_choice('latent_layout', self.latent_layout, LAYOUTS)
    check_choice('decoder_mode', self.decoder_mode, DECODERS)
    self.tokens = layers.FrameTokens(self.width, self.dtype)
    self.encoder = layers.Encoder(
      self.width, self.heads, self.encoder_layers, self.period, self.period, self.dropout,
      self.dtype,
    )  # fmt: skip
    self.pool = layers.AttentionPooling(self.width) if self.latent_layout == 'vector' else None
    self.posterior_head = Dense(2 * self.latent_dim)
    half = self.latent_dim // 2
    self.conditioners = [
      Conditioner(half, self.flow_width, self.heads, self.flow_layers, self.period)
      for _ in range(0 if self.latent_layout == 'none' else self.flow_steps)
    ]
    self.latent_in = Dense(self.width)
    self.decoder = Decoder(
      self.motion_dim, self.width, self.heads, self.decoder_layers, self.period,
      self.align_window, self.history, self.speech_layers,
      self.decoder_mode == 'autoregressive', self.dropout, self.dtype,
    )  # fmt: skip

  def __call__(self, motion, speech, mask) -> jax.Array:
    """Reconstruction through the posterior mean; touches every parameter."""
    latents = self.encode(motion, speech, mask).mean
    moved, _ = self.push(latents, speech, mask)
    return self.decode(motion, speech, latents + 0.0 * moved.sum(), mask)

  def encode(self, motion: jax.Array, speech: jax.Array, mask: jax.Array) -> Gaussian:
    """motion [B, T, M], speech [B, 2T, D], mask [B, T] -> Gaussian over [B, L, C].

    L = ceil(T / stride). It is q(z') for the objective 'prior' and q(z) for 'posterior'.
    """
    self._check_speech(speech)
    if self.latent_layout == 'none':  # q is the prior of no flow: nothing is learnt, no divergence
      nothing = jnp.zeros((len(motion), 1, self.latent_dim))
      return Gaussian(nothing, nothing)
    x = self.encoder(self.tokens(motion, speech, mask), mask)
    if self.pool is not None:
      x = self.pool(x, mask)[:, None]
    else:
      x = group(blank(x, mask), self.stride)
      x = x.reshape(*x.shape[:2], -1)
    mean, log_variance = jnp.split(self.posterior_head(x), 2, axis=-1)
    return Gaussian(mean, jnp.clip(log_variance, -10.0, 10.0))

  def latent_mask(self, mask: jax.Array) -> jax.Array:
    """1 for latents with a valid frame: mask [B, T] -> [B, L]."""
    if self.latent_layout != 'sequence':
      return mask.max(1, keepdims=True)
    return group(mask, self.stride).max(2)

  def push(self, z: jax.Array, speech, mask) -> tuple[jax.Array, jax.Array]:
    """F: noise z [B, L, C] -> (z' [B, L, C], log|det| [B])."""
    return self._flow(speech, mask).forward_and_log_det(z)

  def pull(self, latents: jax.Array, speech, mask) -> tuple[jax.Array, jax.Array]:
    """The inverse of F: z' [B, L, C] -> (z, log|det| of the inverse [B])."""
    return self._flow(speech, mask).inverse_and_log_det(latents)

  def prior_log_density(self, latents: jax.Array, speech, mask) -> jax.Array:
    """log p(z') of the flow prior [B]: log N(F^-1(z'); 0, I) + log|det|, valid latents only."""
    z, log_det = self.pull(latents, speech, mask)
    standard = distributions.standard_like(Gaussian(z, z))
    return (distributions.log_density(standard, z) * self.latent_mask(mask)).sum(-1) + log_det

  def log_weight(self, motion, speech, mask, key: jax.Array, sigma: float) -> jax.Array:
    """log of p(ρ | z', a) p(z') / q(z' | ρ, a) [B] at one draw from q; the key is consumed.

    The decoder's frames are means of Gaussians of deviation `sigma`, each given the frames before.
    The mean of the weight itself is p(ρ | a).
    """
    posterior, valid = self.encode(motion, speech, mask), self.latent_mask(mask)
    drawn = distributions.sample(
      posterior, distributions.row_noise(key, posterior.mean.shape, rows=2)
    )
    log_q = (distributions.log_density(posterior, drawn) * valid).sum(-1)
    if self.flow_objective == 'prior':
      latents, log_p = drawn, self.prior_log_density(drawn, speech, mask)
    else:  # q and the prior both speak of z: the determinants cancel
      standard = distributions.standard_like(posterior)
      latents, _ = self.push(drawn, speech, mask)
      log_p = (distributions.log_density(standard, drawn) * valid).sum(-1)
    error = (motion - self.decode(motion, speech, latents, mask)) / sigma
    each = -0.5 * jnp.square(error) - jnp.log(sigma) - 0.5 * jnp.log(2 * jnp.pi)
    return (each.sum(-1) * mask).sum(-1) + log_p - log_q

  def decode(self, motion, speech, latents, mask, keep: jax.Array | None = None) -> jax.Array:
    """All frames at once; `motion` [B, T, M] is fed back, latents [B, L, C] are z'."""
    keep = jnp.ones_like(mask) if keep is None else keep
    return self.decoder(motion, keep, self.context(latents, mask), speech, mask)

  def context(self, latents: jax.Array, mask: jax.Array) -> jax.Array:
    """What the decoder is told at each frame: latents z' [B, L, C] -> [B, T, width]."""
    if self.latent_layout == 'none':
      return jnp.zeros((*mask.shape, self.width))
    x = self.latent_in(blank(latents, self.latent_mask(mask)))
    if self.latent_layout == 'vector':
      return per_frame(x[:, 0], mask.shape[1])
    return fan_out(x, self.stride, mask.shape[1])

  def rollout(self, speech, latents, mask) -> jax.Array:
    """The decoder on its own outputs: latents z' [B, L, C] -> motion [B, T, M]."""
    return self.decoder.rollout(self.context(latents, mask), speech, mask)

  def sample(
    self,
    speech: jax.Array,
    key: jax.Array,
    temperature: float = 1.0,
    mask: jax.Array | None = None,
  ) -> jax.Array:
    """Speech [B, 2T, D] -> one motion of many [B, T, M]. The key is consumed."""
    self._check_speech(speech)
    batch, frames = speech.shape[0], speech.shape[1] // 2
    mask = jnp.ones((batch, frames)) if mask is None else mask
    length = self.latent_mask(mask).shape[1]
    z = temperature * distributions.row_noise(key, (batch, length, self.latent_dim), rows=2)
    return self.rollout(speech, self.push(z, speech, mask)[0], mask)

  def _flow(self, speech: jax.Array, mask: jax.Array):
    valid = self.latent_mask(mask)
    heard = self._heard(speech, mask) if self.flow_audio_cond else None
    steps = [lambda x, c=c: c(x, heard, valid) for c in self.conditioners]
    return coupling_flow(steps, self.latent_dim, valid)

  def _heard(self, speech: jax.Array, mask: jax.Array) -> jax.Array:
    rows = jnp.repeat(mask, 2, axis=1)
    stride = self.stride if self.latent_layout == 'sequence' else mask.shape[1]
    total = group(blank(speech, rows), 2 * stride).sum(2)
    return total / jnp.maximum(group(rows, 2 * stride).sum(2), 1.0)[..., None]

  def _check_speech(self, speech: jax.Array) -> None:
    if speech.shape[-1] != self.speech_dim or speech.shape[1] % 2:
      raise InputError(
        f'got speech {speech.shape}, expected [B, 2T, {self.speech_dim}], use the encoder that the '
        'model was trained with'
      )
