"""Landmarks of many frames at once, in NumPy: the head is linear, so its landmarks are too."""

from typing import NamedTuple

import numpy as np

from gmtalker_jax.data import schema
from gmtalker_jax.face.morphable import Head


class LandmarkModel(NamedTuple):
  """A head at its 478 landmarks, in head widths, float32. Eyes look straight ahead."""

  mean: np.ndarray  # [478, 3]
  identity: np.ndarray  # [I, 478, 3]
  expression: np.ndarray  # [52, 478, 3] in the order of schema.BLENDSHAPES
  eye_centre: np.ndarray  # [2, 3] left, right: pivots of the mean head
  on_skin: np.ndarray  # [478] bool: the others lie on an eyeball and turn with it

  @classmethod
  def of(cls, head: Head) -> 'LandmarkModel':
    """Restricts a head to its landmarks."""
    at = np.asarray(head.landmark_triangle)
    corners = np.asarray(head.triangles)[at]
    weights = np.asarray(head.landmark_barycentric, np.float32)[..., None]

    def restrict(vertices) -> np.ndarray:
      return (np.asarray(vertices, np.float32)[..., corners, :] * weights).sum(-2)

    return cls(
      restrict(head.mean),
      restrict(head.identity),
      restrict(head.expression),
      np.asarray(head.eye_centre, np.float32),
      np.asarray(head.triangle_group)[at] == 0,
    )

  def neutral(self, identity: np.ndarray) -> np.ndarray:
    """The landmarks [478, 3] of a person at rest, identity [I]."""
    return self.mean + np.tensordot(identity, self.identity, 1)

  def place(self, expression: np.ndarray, identity: np.ndarray) -> np.ndarray:
    """Expression [T, 50] and identity [I] -> landmarks [T, 478, 3] in head space, eyes open."""
    shapes = np.delete(self.expression, schema.BLINKS, axis=0)
    return self.neutral(identity)[None] + np.tensordot(expression, shapes, 1)
