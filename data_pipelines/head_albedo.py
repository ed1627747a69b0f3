"""Paints the head: one colour per vertex, from regions that the assets and the landmarks name."""

import numpy as np

from .makehuman import Assets

SKIN, LIPS, EARS = (0.80, 0.615, 0.53), (0.68, 0.38, 0.36), (0.78, 0.53, 0.46)
MOUTH, TONGUE, TEETH = (0.30, 0.10, 0.10), (0.66, 0.34, 0.33), (0.90, 0.88, 0.82)
SCLERA, LASHES, BROWS = (0.88, 0.88, 0.88), (0.20, 0.13, 0.10), (0.33, 0.23, 0.18)
# Landmarks of the brows, from the temple inward: the upper and the lower line of either side.
BROW_LINES = (
  ((70, 63, 105, 66, 107), (46, 53, 52, 65, 55)),
  ((300, 293, 334, 296, 336), (276, 283, 282, 295, 285)),
)


def paint(arrays: dict[str, np.ndarray], assets: Assets, brows: bool) -> np.ndarray:
  """Returns the albedo [V, 3], 0..1. The irises are painted when rendering (face/render.py)."""
  mean, group = arrays['mean'], _vertex_group(arrays)
  colour = np.tile(np.array(SKIN), (len(mean), 1))

  def blend(target: tuple[float, ...], weight: np.ndarray) -> None:
    colour[:] += weight[:, None] * (np.array(target) - colour)

  skin = group == 0
  blend(EARS, 0.6 * assets.mask('ears', arrays['uv']) * skin)
  blend(LIPS, assets.mask('lips', arrays['uv']) * skin)
  blend(MOUTH, assets.mask('inside-mouth', arrays['uv']) * skin)
  blend(LASHES, _lid_rims(arrays) * skin)
  if brows:
    blend(BROWS, 0.75 * _brows(arrays) * skin)
  for number, target in ((1, SCLERA), (2, SCLERA), (3, TEETH), (4, TEETH), (5, TONGUE)):
    blend(target, (group == number).astype(float))
  return (colour * _daylight(mean, group)[:, None]).astype(np.float32)


def _vertex_group(arrays: dict[str, np.ndarray]) -> np.ndarray:
  group = np.zeros(len(arrays['mean']), int)
  group[arrays['triangles']] = arrays['triangle_group'][:, None]
  return group


def _lid_rims(arrays: dict[str, np.ndarray]) -> np.ndarray:
  """1 where the skin touches an eyeball from the front: the roots of the lashes."""
  mean, weight = arrays['mean'], np.zeros(len(arrays['mean']))
  for side, centre in zip((1, 2), arrays['eye_centre'], strict=True):
    ball = mean[np.unique(arrays['triangles'][arrays['triangle_group'] == side])]
    radius = np.linalg.norm(ball - centre, axis=1).mean()
    distance = np.linalg.norm(mean - centre, axis=1) / radius
    weight += np.clip((1.12 - distance) / 0.06, 0, 1) * (mean[:, 2] > centre[2])
  return np.minimum(weight, 1)


def _brows(arrays: dict[str, np.ndarray]) -> np.ndarray:
  """1 along the middle of the two lines of landmarks, thinning toward the temple."""
  corners = arrays['mean'][arrays['triangles'][arrays['landmark_triangle']]]
  points = np.einsum('lkc,lk->lc', corners, arrays['landmark_barycentric'])
  weight = np.zeros(len(arrays['mean']))
  for upper, lower in BROW_LINES:
    middle = (points[list(upper)] + points[list(lower)]) / 2
    half = np.linalg.norm(points[list(upper)] - points[list(lower)], axis=1) / 2
    steps = np.linspace(0, 4, 60)
    line = np.stack([np.interp(steps, range(5), middle[:, c]) for c in range(3)], 1)
    half = np.interp(steps, range(5), half) * np.interp(steps, (0, 1, 4), (0.6, 1.0, 1.1))
    distance = np.linalg.norm(arrays['mean'][:, None] - line[None], axis=2) / half[None]
    weight = np.maximum(weight, np.clip(1.6 - distance.min(1), 0, 1))
  return weight


def _daylight(mean: np.ndarray, group: np.ndarray) -> np.ndarray:
  """How much light reaches into the mouth: full at the front teeth, little at the throat."""
  inner = group >= 3
  depth = mean[inner, 2].max() - mean[:, 2]
  front = np.interp(depth, (0, 0.06, 0.25), (1.0, 0.85, 0.25))
  # The corners of the mouth gape a little at rest: back teeth must not flash white there.
  middle = np.interp(np.abs(mean[:, 0]), (0.07, 0.13), (1.0, 0.3))
  return np.where(inner, front * middle, 1.0)
