"""What emotion a clip shows, as weights on the simplex; the only place that decides it.

A network is trained on what it will be given. When somebody speaks, the weights are a point of the
simplex that a person chose, and never all zero. So a clip without a label gets such a point too,
another one each time that it is looked at: whatever the weights are, the picture is the one in the
clip, and the network learns that it has no evidence for what they mean.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from gmtalker_jax.data import schema


class Emotion(NamedTuple):
  """Weights of one clip, and whether they are its label."""

  weights: np.ndarray  # [K] float32 on the simplex
  labelled: bool  # False: drawn, as nothing is known


def of(
  record: Mapping[str, Any],
  rng: np.random.Generator,
  soft_levels: bool = True,
  unknown_emotion: float = 0.3,
) -> Emotion:
  """The emotion of a clip (method 2.7).

  Args:
    record: see data/schema.py; `emotion` and `level` are read.
    rng: drawn from only where the emotion is unknown.
    soft_levels: see `label`.
    unknown_emotion: concentration of the Dirichlet that unknown weights come from; below 1 most of
      the weight falls on one or two emotions, as it does when somebody speaks. 0: all weights are
      zero, which nobody who speaks ever gives (only to compare with).
  """
  if not record['emotion'] and not unknown_emotion:
    return Emotion(np.zeros(len(schema.EMOTIONS), np.float32), False)
  if not record['emotion']:
    weights = rng.dirichlet(np.full(len(schema.EMOTIONS), unknown_emotion))
    return Emotion(weights.astype(np.float32), False)
  return Emotion(label(record['emotion'], int(record['level']), soft_levels), True)


def to_measure(record: Mapping[str, Any]) -> np.ndarray:
  """Weights [K] that a clip is measured with: its label, or neutral where there is none."""
  return label(record['emotion'] or schema.EMOTIONS[schema.NEUTRAL], int(record['level']))


def label(emotion: str, level: int, soft_levels: bool = True) -> np.ndarray:
  """Weights [K] of a known emotion (one of schema.EMOTIONS).

  With `soft_levels`, level a of 3 is a/3 of the emotion and the rest neutral. Level 0 (unknown)
  counts as full.
  """
  share = level / schema.LEVELS if soft_levels and level else 1.0
  weights = np.zeros(len(schema.EMOTIONS), np.float32)
  weights[schema.EMOTIONS.index(emotion)] += share
  weights[schema.NEUTRAL] += 1 - share
  return weights
