"""The non-saturating GAN objective, R1 and path lengths (method 4.4). Logits: > 0 = real."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from gmtalker_jax.core import rng


def generator_loss(fake: jax.Array) -> jax.Array:
  """Returns softplus(-D(fake)) for each logit of `fake` [B]."""
  return jax.nn.softplus(-fake)


def discriminator_loss(real: jax.Array, fake: jax.Array) -> jax.Array:
  """Returns softplus(-D(real)) + softplus(D(fake)) for each pair of logits [B]."""
  return jax.nn.softplus(-real) + jax.nn.softplus(fake)


def r1_penalty(
  discriminate: Callable[[jax.Array], jax.Array], image: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Returns the squared norm of the gradient of D at each real picture, and D's logits.

  Args:
    discriminate: [B, H, W, C] -> logits [B].
    image: [B, H, W, C] real pictures.

  Returns:
    (|grad_I sum_b D(I_b)|^2 [B], logits [B]). The caller multiplies by gamma / 2.
  """
  logits, pull = jax.vjp(discriminate, image)
  (gradient,) = pull(jnp.ones_like(logits))
  return jnp.square(gradient.astype(jnp.float32)).sum((1, 2, 3)), logits


def path_lengths(
  paint: Callable[[jax.Array], jax.Array], style: jax.Array, key: jax.Array
) -> jax.Array:
  """How far a picture moves with its style: |J^T y| for y ~ N(0, I) / sqrt(H W) (StyleGAN2).

  Args:
    paint: [B, S] -> pictures [B, H, W, C], each of its own style.
    style: [B, S] where the lengths are measured.
    key: consumed.

  Returns:
    [B], float32 or wider.
  """
  image, pull = jax.vjp(paint, style)
  noise = rng.normal(key, image.shape).astype(image.dtype) / math.sqrt(math.prod(image.shape[1:3]))
  (gradient,) = pull(noise)
  # Never quite 0, where a root has no slope.
  return jnp.sqrt(jnp.square(gradient).sum(-1) + 1e-12)
