"""Distances between pictures [B, H, W, C] in -1..1: one number for each example, [B]."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from gmtalker_jax.core import rng


def absolute(image: jax.Array, truth: jax.Array) -> jax.Array:
  """Returns the mean absolute difference (L1)."""
  return jnp.abs(image - truth).mean((1, 2, 3))


def pyramid(image: jax.Array, truth: jax.Array, levels: int = 4) -> jax.Array:
  """Returns the L1 distance summed over the bands of a pyramid: a cheap perceptual distance.

  Each of `levels` bands is what 2x2 averaging removes, the last one is what remains. A plain L1 is
  content with a blurred edge; here the missing edge costs again at each scale. H and W must be
  divisible by 2^levels.
  """
  rest, total = image - truth, 0.0
  for _ in range(levels):
    b, h, w, c = rest.shape
    blocks = rest.reshape(b, h // 2, 2, w // 2, 2, c)
    means = blocks.mean((2, 4))
    total += jnp.abs(blocks - means[:, :, None, :, None]).mean((1, 2, 3, 4, 5))
    rest = means
  return total + jnp.abs(rest).mean((1, 2, 3))


def crops(
  key: jax.Array, images: Sequence[jax.Array], size: int, within: float = 1.0
) -> list[jax.Array]:
  """Cuts one random square of each example, the same of all `images` [B, H, W, C].

  Args:
    key: consumed.
    images: of one shape.
    size: pixels of the square; 0, or no less than the picture = the whole picture.
    within: share of the sides, about the middle, that squares lie in where they fit; 1 = all.

  Returns:
    [B, size, size, C] of each.
  """
  count, height, width = images[0].shape[:3]
  if not size or size >= min(height, width):
    return list(images)
  sides = jnp.array([height, width])
  low = jnp.minimum((sides * (1 - within) / 2).astype(jnp.int32), (sides - size) // 2)
  high = sides - low - size + 1
  corners = rng.by_row(lambda k: jax.random.randint(k, (2,), low, high), key, count)

  def cut(image: jax.Array, corner: jax.Array) -> jax.Array:
    return jax.lax.dynamic_slice(image, (*corner, 0), (size, size, image.shape[-1]))

  return [jax.vmap(cut)(image, corners) for image in images]


def psnr(image: jax.Array, truth: jax.Array) -> jax.Array:
  """Returns the peak signal-to-noise ratio in dB, of pictures clipped to what a file can hold."""
  difference = jnp.clip(image, -1, 1) - jnp.clip(truth, -1, 1)
  error = jnp.square(difference).mean((1, 2, 3)) / 4  # the peak is 2
  return -10 * jnp.log10(jnp.maximum(error, 1e-10))
