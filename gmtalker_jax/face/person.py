"""What the rendering knows of a person: the shape of the head, skin, light, and shoulders."""

import jax
import numpy as np
from flax import struct

from gmtalker_jax.face.bust import Bust
from gmtalker_jax.face.light import DEFAULT_LIGHT


@struct.dataclass
class Person:
  """Shape, texture and lighting of the target person (the paper's conditions of the portrait)."""

  identity: jax.Array | np.ndarray  # [I] identity coefficients of the head
  texture: jax.Array | np.ndarray | None  # [R, R, 3] albedo 0..1, see chart.py; None = the head's
  light: jax.Array | np.ndarray  # [9] or [9, 3], see light.shade
  eyes: jax.Array | np.ndarray | None = None  # [2, 3] albedo of white and iris; None = the head's
  bust: Bust | None = None  # None = nothing below the neck
  displacement: jax.Array | np.ndarray | None = None  # [V, 3] see morphable.displaced; None = 0
  iris: jax.Array | np.ndarray | float | None = None  # radius / the eyeball's; None = render.IRIS

  @classmethod
  def plain(cls, identity: jax.Array | np.ndarray) -> 'Person':
    """A person of whom only the shape [I] is known: the head's own colours, the default light."""
    return cls(identity, None, DEFAULT_LIGHT)
