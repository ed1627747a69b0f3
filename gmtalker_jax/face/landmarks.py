"""The 478 landmarks by name: the MediaPipe face mesh, then its irises.

Sides are the subject's, pairs are (left, right). Rings are in order and not closed.
"""

import numpy as np

COUNT = 478
ON_SKIN = 468  # the first so many; the rest are the irises

# From the subject's right corner along the lower lip to the left one, and back along the upper.
OUTER_LIPS = (
  61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185,
)  # fmt: skip
INNER_LIPS = (
  78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191,
)  # fmt: skip
MIDDLE_LIPS = (13, 14)  # the inner edges of the upper and the lower lip
# From the outer corner along the lower lid to the inner one, and back along the upper.
EYELIDS = (
  (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
  (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
)
UPPER_LIDS = tuple(ring[:1] + ring[:7:-1] for ring in EYELIDS)  # from the outer corner
OUTER_EYES = (263, 33)  # the outer corners
IRISES = ((473, 474, 475, 476, 477), (468, 469, 470, 471, 472))  # the middle, then the rim
# Per side the lower and the upper edge, outwards.
BROWS = (
  ((285, 295, 282, 283, 276), (336, 296, 334, 293, 300)),
  ((55, 65, 52, 53, 46), (107, 66, 105, 63, 70)),
)
NOSE = (168, 6, 197, 195, 5, 4)  # the ridge, from between the eyes to the tip
# From the middle of the forehead down the subject's left; slides over the skin as the head turns.
SILHOUETTE = (
  10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
  148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip


def outer_eye_distance(points: np.ndarray) -> np.ndarray:
  """The distance [...] of the outer corners of the eyes among landmarks [..., 478, C]."""
  left, right = OUTER_EYES
  return np.linalg.norm(points[..., left, :] - points[..., right, :], axis=-1)
