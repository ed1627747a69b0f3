"""The non-saturating GAN objective with R1 (method 4.4). Logits: > 0 = real."""

from collections.abc import Callable

import jax
import jax.numpy as jnp


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
