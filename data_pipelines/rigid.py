"""The rigid motion of a head, and how the camera sees it, in NumPy.

Points of a picture are in crop units: x right and y up from the middle of the square crop, divided
by its side. Then a point (X, Y, Z) of space is seen at focal (X, Y) / (distance - Z).
"""

from typing import NamedTuple

import numpy as np

from gmtalker_jax.face import camera

FOCAL, DISTANCE = camera.DEFAULT  # image widths, head widths


class Pose(NamedTuple):
  """Where the head is in each frame."""

  rotation: np.ndarray  # [T, 3, 3]
  translation: np.ndarray  # [T, 3]


def project(points: np.ndarray) -> np.ndarray:
  """Points of space [..., 3] as the camera sees them, in crop units [..., 2]."""
  return FOCAL * points[..., :2] / (DISTANCE - points[..., 2:])


def euler_angles(rotation: np.ndarray) -> np.ndarray:
  """Angles (x, y, z) [..., 3] in rad of R = Rz Ry Rx [..., 3, 3]."""
  x = np.arctan2(rotation[..., 2, 1], rotation[..., 2, 2])
  y = np.arcsin(np.clip(-rotation[..., 2, 0], -1, 1))
  z = np.arctan2(rotation[..., 1, 0], rotation[..., 0, 0])
  return np.stack([x, y, z], -1)


def rotation_matrix(angles: np.ndarray) -> np.ndarray:
  """R = Rz Ry Rx [T, 3, 3] of angles x, y, z [T, 3] in rad."""
  turns = np.eye(3, dtype=angles.dtype)[::-1, None] * angles.T[::-1, :, None]  # z, y, x
  z, y, x = (rotation_of(turn) for turn in turns)
  return z @ y @ x


def rotation_of(vector: np.ndarray) -> np.ndarray:
  """Rotation matrices [T, 3, 3] of rotation vectors [T, 3] (Rodrigues)."""
  angle = np.linalg.norm(vector, axis=-1)[:, None, None]
  x, y, z = (vector / np.maximum(angle[:, 0], 1e-12)).T
  zero = np.zeros_like(x)
  cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3)
  return np.eye(3, dtype=vector.dtype) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
