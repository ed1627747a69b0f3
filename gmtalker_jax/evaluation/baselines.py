"""What a number is worth: the mean face, a straight line from sound to face, the nearest clip."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_CONTEXT = 5  # video frames to each side
_ROWS = 40_000  # frames that the regression is fitted on


class Ridge:
  """Linear regression from a window of speech features to expression coefficients."""

  def __init__(self, records: Sequence[Mapping[str, Any]], strength: float = 100.0):
    """Fits on the training records."""
    speech = np.concatenate([_window(r['speech']) for r in records])[:_ROWS]
    target = np.concatenate([r['expression'] for r in records])[:_ROWS].astype(np.float64)
    self._centre, self._scale = speech.mean(0), speech.std(0) + 1e-3
    self._offset = target.mean(0)
    x = (speech - self._centre) / self._scale
    gram = x.T @ x + strength * np.eye(x.shape[1])
    self._matrix = np.linalg.solve(gram, x.T @ (target - self._offset))

  def predict(self, speech: np.ndarray) -> np.ndarray:
    """Speech [2T, D] -> expression [T, E] in 0..1."""
    x = (_window(speech) - self._centre) / self._scale
    return np.clip(x @ self._matrix + self._offset, 0.0, 1.0).astype(np.float32)


class Nearest:
  """What was done in training to the most similar sound, of the same emotion if there is any."""

  def __init__(self, records: Sequence[Mapping[str, Any]]):
    """Takes the training records."""
    self._records = records
    rows = np.concatenate([np.asarray(r['speech'], np.float32) for r in records])[:_ROWS]
    self._scale = rows.std(0) + 1e-3
    self._sounds = [np.asarray(r['speech'], np.float32) / self._scale for r in records]

  def perform(self, record: Mapping[str, Any]) -> np.ndarray:
    """A record's expression [T, E] after another's; a shorter one begins again."""
    rows = np.asarray(record['speech'], np.float32) / self._scale
    same = [i for i, r in enumerate(self._records) if r['emotion'] == record['emotion']]
    among = same or range(len(self._records))
    best = min(among, key=lambda i: np.square(fitted(self._sounds[i], len(rows)) - rows).mean())
    return fitted(self._records[best]['expression'], len(record['expression']))


def fitted(rows: np.ndarray, length: int) -> np.ndarray:
  """Rows [N, D] cut to a length, or repeated up to it."""
  return np.resize(rows, (length, rows.shape[1])) if len(rows) < length else rows[:length]


def mean_face(records: Sequence[Mapping[str, Any]]) -> np.ndarray:
  """The mean expression [E] of the training records."""
  return np.concatenate([r['expression'] for r in records]).mean(0)


def _window(speech: np.ndarray) -> np.ndarray:
  """[2T, D] -> [T, (2 C + 1) D]: each frame's mean features with its neighbours'."""
  speech = np.asarray(speech, np.float64)
  frames = speech.reshape(len(speech) // 2, 2, -1).mean(1)
  padded = np.pad(frames, ((_CONTEXT, _CONTEXT), (0, 0)), mode='edge')
  return np.concatenate([padded[i : i + len(frames)] for i in range(2 * _CONTEXT + 1)], 1)
