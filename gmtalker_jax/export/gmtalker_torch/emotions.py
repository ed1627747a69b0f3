"""Emotions as a person types them, to weights over time.

happy                                one emotion for the whole talk
happy@0.6                            the same, weaker (the rest is neutral)
happy+surprised                      a blend, equal parts
0:neutral 2:happy 4.5:angry@0.6      keys at seconds; straight lines between them
"""

from collections.abc import Sequence

import numpy as np


def track(text: str, names: Sequence[str], frames: int, intensity: float = 1.0) -> np.ndarray:
  """[frames, K] weights at 25 Hz that add up to 1; ValueError where `text` is not as above."""
  words = text.replace(',', ' ').split()
  times, points = [], []
  for word in words:
    time, colon, emotion = word.rpartition(':')
    if not colon and len(words) > 1:
      raise ValueError(f'got the emotion key {word!r} without a time, expected SECONDS:{word}')
    times.append(float(time) if colon else 0.0)
    points.append(_weights(emotion, names, intensity))
  if not points or np.any(np.diff(times) <= 0):
    raise ValueError(f'got the emotions {text!r}, expected one, or seconds that increase')
  now = (np.arange(frames) + 0.5) / 25
  columns = [np.interp(now, times, column) for column in np.stack(points, 1)]
  return np.stack(columns, -1).astype(np.float32)


def _weights(word: str, names: Sequence[str], intensity: float) -> np.ndarray:
  blend, _, strength = word.partition('@')
  weights = np.zeros(len(names))
  parts = blend.lower().split('+')
  for name in parts:
    if name not in names:
      raise ValueError(f'got the emotion {name!r}, expected one of {", ".join(names)}')
    weights[names.index(name)] += 1 / len(parts)
  share = intensity * float(strength or 1.0)
  if not 0 <= share <= 1:
    raise ValueError(f'got the strength {share}, expected a number from 0 to 1')
  return share * weights + (1 - share) * np.eye(len(names))[names.index('neutral')]
