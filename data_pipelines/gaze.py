"""Where the eyes look: from the irises of tracked landmarks to angles, and back."""

import numpy as np

from gmtalker_jax.face import landmarks as names

from .rigid import DISTANCE, FOCAL, project


def fit(model, neutral, shape, pose, points) -> np.ndarray:
  """Gaze [T, 4] (left pitch, left yaw, right pitch, right yaw; rad, + down, + image right).

  The iris is where the ray of its landmark meets the eyeball. The lids of the same eye tell how
  far the fit is off there, and the ray is moved by as much.
  """
  eyes = model.eye_centre + eye_shift(model, neutral)
  angles = []
  for side in range(2):
    lids, iris = [k for k in names.EYELIDS[side] if model.on_skin[k]], names.IRISES[side][0]
    placed = np.einsum('tij,tnj->tni', pose.rotation, shape) + pose.translation[:, None]
    off = (points[:, lids] - project(placed[:, lids])).mean(1)
    seen = points[:, iris] - off
    centre = np.einsum('tij,j->ti', pose.rotation, eyes[side]) + pose.translation
    radius = np.linalg.norm(shape[0, iris] - eyes[side])
    direction = _hit_sphere(seen, centre, radius) - centre
    ahead = np.einsum('tji,tj->ti', pose.rotation, direction) / radius  # into the head
    pitch = np.arcsin(np.clip(-ahead[:, 1], -1, 1))
    angles += [pitch, np.arctan2(ahead[:, 0], ahead[:, 2])]
  rest = np.array(_rest_gaze(neutral, eyes), np.float32)
  return np.clip(np.stack(angles, 1) - rest, -0.8, 0.8)


def matrix(gaze: np.ndarray) -> np.ndarray:
  """[T, 3, 3] of pitch and yaw [T, 2]: Ry(yaw) Rx(pitch)."""
  (sx, sy), (cx, cy) = np.sin(gaze.T), np.cos(gaze.T)
  zero = np.zeros_like(sx)
  rows = [cy, sy * sx, sy * cx, zero, cx, -sx, -sy, cy * sx, cy * cx]
  return np.stack(rows, -1).reshape(-1, 3, 3)


def eye_shift(model, neutral) -> np.ndarray:
  """How far the identity moved each eyeball [2, 3], from its five iris landmarks."""
  return np.stack([(neutral - model.mean)[list(indices)].mean(0) for indices in names.IRISES])


def _hit_sphere(seen, centre, radius) -> np.ndarray:
  """Where the ray through `seen` [T, 2] first meets the sphere, or comes nearest to it [T, 3]."""
  ray = np.concatenate([seen / FOCAL, -np.ones_like(seen[:, :1])], 1)  # from (0, 0, DISTANCE)
  ray /= np.linalg.norm(ray, axis=1, keepdims=True)
  towards = centre - np.array([0, 0, DISTANCE], np.float32)
  along = (ray * towards).sum(1)
  gap = np.square(towards).sum(1) - along**2
  depth = along - np.sqrt(np.maximum(radius**2 - gap, 0))
  hit = ray * depth[:, None] - towards
  return centre + hit * (radius / np.linalg.norm(hit, axis=1, keepdims=True))


def _rest_gaze(shape, eyes) -> list[float]:
  """Where the model's own irises point at rest: their landmarks are not exactly ahead."""
  angles = []
  for side in range(2):
    ahead = shape[names.IRISES[side][0]] - eyes[side]
    ahead = ahead / np.linalg.norm(ahead)
    angles += [np.arcsin(-ahead[1]), np.arctan2(ahead[0], ahead[2])]
  return angles
