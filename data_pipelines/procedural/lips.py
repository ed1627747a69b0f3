"""The last word on the lips: on the built-in head they meet where they must and never cross.

The head is linear, so the gap between the inner lips is a linear function of the weights, the same
for every identity but for a constant.
"""

import functools

import numpy as np

from gmtalker_jax.data import schema
from gmtalker_jax.io import heads

UPPER, LOWER = 13, 14  # face mesh landmarks in the middle of the inner lips
_CLOSED = -0.005  # head widths: the gap of p, b, m less that of the face at rest
_BITTEN = 0.006  # the same for f and v: the lower lip at the upper teeth
_CROSSED = -0.010  # less than this, one lip would go through the other
_JAW = schema.EXPRESSION_NAMES.index('jawOpen')
_CLOSE = schema.EXPRESSION_NAMES.index('mouthClose')


def seal(weights: np.ndarray, closure: np.ndarray, labiodental: np.ndarray) -> np.ndarray:
  """Corrects mouthClose, and a little jawOpen, of weights [T, 50].

  Args:
    weights: the whole face, speech and feeling.
    closure: [T] 0..1, see visemes.Track.
    labiodental: [T] 0..1, see visemes.Track.
  """
  out = weights.copy()
  effect = opening()
  for target, degree in ((_BITTEN, labiodental * (1 - closure)), (_CLOSED, closure)):
    out[:, _CLOSE] += degree * (out @ effect - target) / -effect[_CLOSE]
  out = np.clip(out, 0, 1)
  crossed = np.maximum(0, _CROSSED - out @ effect)
  out[:, _JAW] += crossed / effect[_JAW]
  return out


@functools.cache
def opening() -> np.ndarray:
  """[50] head widths by which each weight moves the inner lips apart."""
  head = heads.load_head('builtin')
  corners = np.asarray(head.triangles)[np.asarray(head.landmark_triangle)[[UPPER, LOWER]]]
  weights = np.asarray(head.landmark_barycentric, np.float64)[[UPPER, LOWER]]
  up = np.asarray(head.expression, np.float64)[:, corners, 1]  # [52, 2, 3]
  moved = (up * weights).sum(-1)
  names = [schema.BLENDSHAPES.index(name) for name in schema.EXPRESSION_NAMES]
  return (moved[:, 0] - moved[:, 1])[names]
