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
from gmtalker_jax.face.camera import Camera


@struct.dataclass
class Bust:
  """Shoulders of one person as one camera sees them."""

  picture: jax.Array | np.ndarray  # [R, R, 4] the camera's square: colour 0..1 and cover 0..1
  follows: jax.Array | np.ndarray  # [7, 3] sway = (1, rotation, translation) @ follows


def follow(bust: Bust, motion: jax.Array) -> jax.Array:
  """The sway [..., 3] that goes with motion [..., M], where nobody watched the shoulders."""
  pose = motion[..., schema.ROTATION.start : schema.TRANSLATION.stop]
  return bust.follows[0] + pose @ bust.follows[1:]


def lay_over(rgb: jax.Array, bust: Bust, sway: jax.Array, camera: Camera) -> jax.Array:
  """Lays the swaying bust over the lower half of a picture; above, a bust has no business.

  Args:
    rgb: [S, S, 3] -1..1.
    bust: whose.
    sway: [3], see schema.SWAY_NAMES.
    camera: that took both.
  """
  size = rgb.shape[0]
  half = size // 2
  shift = sway[:2] * (camera.focal / camera.distance)
  cosine, sine = jnp.cos(sway[2]), jnp.sin(sway[2])
  # From the pivot, the middle of the lower edge, in sides of the picture: x right, y up.
  x = ((jnp.arange(size) + 0.5) / size - 0.5 - shift[0])[None]
  y = (1 - (jnp.arange(half, size) + 0.5) / size - shift[1])[:, None]
  across, up = cosine * x + sine * y, cosine * y - sine * x
  seen = chart.look_up(jnp.asarray(bust.picture), jnp.stack([across + 0.5, 1 - up], -1))
  lower = rgb[half:] + seen[..., 3:] * (seen[..., :3] * 2 - 1 - rgb[half:])
  return rgb.at[half:].set(lower)
