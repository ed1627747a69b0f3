"""Landmarks of many frames at once: the head is linear, so its 478 landmarks are too."""

from typing import NamedTuple

import numpy as np

from gmtalker_jax.data import schema
from gmtalker_jax.face import morphable
from gmtalker_jax.face.morphable import Head

_OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
_INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
MOUTH = np.array(_OUTER + _INNER)  # of the 478 MediaPipe landmarks
LIPS = (13, 14)  # inner lips, upper and lower, on the midline


class LandmarkBasis(NamedTuple):
  """The landmarks' own linear model, in head widths."""

  mean: np.ndarray  # [478, 3]
  identity: np.ndarray  # [I, 478, 3]
  expression: np.ndarray  # [50, 478, 3]

  @classmethod
  def of(cls, head: Head) -> 'LandmarkBasis':
    """Restricts a head to its landmarks; eyes open and straight."""
    mean, identity, shapes = (
      np.asarray(morphable.landmarks(head, x)) for x in (head.mean, head.identity, head.expression)
    )
    kept = [i for i in range(len(schema.BLENDSHAPES)) if i not in schema.BLINKS]
    return cls(mean, identity, shapes[kept])

  def place(self, expression: np.ndarray, identity: np.ndarray) -> np.ndarray:
    """Expression [T, E] and identity [I] -> landmarks [T, 478, 3] in head space."""
    base = self.mean + np.tensordot(identity, self.identity, 1)
    return base[None] + np.tensordot(expression, self.expression, 1)
