"""What emotion does a face show? A judge that has only ever seen the truth."""

import numpy as np
from sklearn.linear_model import LogisticRegression

_FLOOR = 0.02  # a channel that hardly moves must not be blown up to unit variance


class EmotionClassifier:
  """Logistic regression on what a clip's coefficients do over time."""

  def __init__(self, clips: list[np.ndarray], emotions: list[str]):
    """Fits on true expression coefficients, one [T, E] per clip."""
    features = np.stack([clip_features(c) for c in clips])
    self._mean, self._scale = features.mean(0), features.std(0) + _FLOOR
    self._model = LogisticRegression(max_iter=5000)
    self._model.fit((features - self._mean) / self._scale, emotions)

  def predict(self, clips: list[np.ndarray]) -> list[str]:
    """Names the emotion of each clip [T, E]."""
    features = np.stack([clip_features(c) for c in clips])
    return [str(e) for e in self._model.predict((features - self._mean) / self._scale)]

  def accuracy(self, clips: list[np.ndarray], emotions: list[str]) -> float:
    """Share of clips named rightly."""
    return float(np.mean([a == b for a, b in zip(self.predict(clips), emotions, strict=True)]))


def clip_features(expression: np.ndarray) -> np.ndarray:
  """[T, E] -> [5 E]: mean, standard deviation and the 10th, 50th, 90th percentile over time."""
  percentiles = np.percentile(expression, (10, 50, 90), axis=0)
  return np.concatenate([expression.mean(0), expression.std(0), *percentiles])
