"""Collar and shoulders in the rendering: a flat picture in front of the neck, which sways.

Nothing in a pose of the head says to the pixel where a collar is, and a painter that cannot know
paints the mean of all places. The rendering shows it, as it shows the jaw.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from gmtalker_jax.data import schema
from gmtalker_jax.face import chart


@struct.dataclass
class Bust:
  """Shoulders of one person as one camera sees them."""

  picture: jax.Array | np.ndarray  # [R, R, 4] the camera's square: colour 0..1 and cover 0..1
  follows: jax.Array | np.ndarray  # [7, 8] sway = (1, rotation, translation) @ follows


def follow(bust: Bust, motion: jax.Array) -> jax.Array:
  """The sway [..., 8] that goes with motion [..., M], where nobody watched the shoulders."""
  pose = motion[..., schema.ROTATION.start : schema.TRANSLATION.stop]
  return bust.follows[0] + pose @ bust.follows[1:]


def lay_over(rgb: jax.Array, bust: Bust, sway: jax.Array) -> jax.Array:
  """Lays the swaying bust over the lower half of a picture; above, a bust has no business.

  Args:
    rgb: [S, S, 3] -1..1.
    bust: whose.
    sway: [8], see schema.SWAY_NAMES.
  """
  size = rgb.shape[0]
  half = size // 2
  x = (jnp.arange(size) + 0.5) / size - 0.5
  y = 1 - (jnp.arange(half, size) + 0.5) / size
  points = jnp.stack([*jnp.meshgrid(x, y), jnp.ones((size - half, size))], -1)
  across, up, depth = jnp.moveaxis(points @ to_rest(sway).T, -1, 0)
  seen = chart.look_up(
    jnp.asarray(bust.picture), jnp.stack([across / depth + 0.5, 1 - up / depth], -1)
  )
  lower = rgb[half:] + seen[..., 3:] * (seen[..., :3] * 2 - 1 - rgb[half:])
  return rgb.at[half:].set(lower)


def to_rest(sway: jax.Array) -> jax.Array:
  """The projective map [3, 3], up to its scale, from where shoulders are to where they rest."""
  there = jnp.eye(3) + jnp.append(sway, 0).reshape(3, 3)
  one, two, three = there.T
  return jnp.stack([jnp.cross(two, three), jnp.cross(three, one), jnp.cross(one, two)])
