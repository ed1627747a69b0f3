"""How long the sound of a clip lags its picture (in many real clips it does, by a steady amount)."""

from typing import NamedTuple

import numpy as np

from data_pipelines.landmarker import OUTER_EYES
from gmtalker_jax.data import schema


class Lag(NamedTuple):
  """seconds that are corrected (0 unless sure); the best shift and the correlations there and at 0."""

  seconds: float
  best: float
  at_best: float
  at_zero: float


def lip_opening(landmarks: np.ndarray, valid: np.ndarray) -> np.ndarray:
  """Gap between the inner lips in outer-eye distances [T]; NaN where the face is not tracked."""
  gap = np.linalg.norm(landmarks[:, 13] - landmarks[:, 14], axis=-1)
  eyes = np.linalg.norm(landmarks[:, OUTER_EYES[0]] - landmarks[:, OUTER_EYES[1]], axis=-1)
  return np.where(valid, gap / np.maximum(eyes, 1e-6), np.nan)


def estimate(wave: np.ndarray, opening: np.ndarray, start: int = 0) -> Lag:
  """TODO."""
  return Lag(0.0, 0.0, 0.0, 0.0)
