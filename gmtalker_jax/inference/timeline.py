"""From what a person types to a curve of emotion weights over time.

happy                                one emotion for the whole talk
happy@0.6                            the same, weaker (the rest is neutral)
happy+surprised                      a blend, equal parts
0:neutral 2:happy 4.5:angry@0.6      keys at seconds; straight lines between them
"""

import math
import re

import numpy as np

from gmtalker_jax.core.errors import InputError, check_choice
from gmtalker_jax.data import schema

EXAMPLE = '"happy", "happy@0.6" or "0:neutral 2:happy 4.5:angry@0.6"'
_CODES = {name[:3]: name for name in schema.EMOTIONS}  # MEAD's short codes: ang con dis fea ...


def parse(track: str, intensity: float, frames: int) -> np.ndarray:
  """Reads an emotion track.

  Weights are linear between keys and constant before the first and after the last. `a@s` and
  `intensity` i give i s onehot(a) + (1 - i s) onehot(neutral) (method 2.7).

  Args:
    track: see above.
    intensity: 0..1, scales every key.
    frames: T, video frames of the talk.

  Returns:
    [T, K] float32 on the simplex, in the order of schema.EMOTIONS.

  Raises:
    InputError: an unknown emotion, a number outside 0..1, times that do not increase.
  """
  _check_unit('intensity', intensity)
  words = track.replace(',', ' ').split()
  if not words:
    raise InputError(f'got an empty emotion track, expected for example {EXAMPLE}')
  keys = [_key(word, alone=len(words) == 1) for word in words]
  times = np.array([time for time, _ in keys])
  if np.any(np.diff(times) <= 0):
    raise InputError(f'got the emotion times {times.tolist()}, expected seconds that increase')
  neutral = np.eye(len(schema.EMOTIONS))[schema.NEUTRAL]
  points = np.stack([intensity * emotion + (1 - intensity) * neutral for _, emotion in keys])
  now = (np.arange(frames) + 0.5) / schema.FRAME_RATE
  return np.stack([np.interp(now, times, column) for column in points.T], -1).astype(np.float32)


def blend(names: str, strength: float = 1.0) -> np.ndarray:
  """Weights [K] of an emotion, or of `a+b` in equal parts, at `strength`; the rest is neutral."""
  _check_unit(f'the strength of {names}', strength)
  eye = np.eye(len(schema.EMOTIONS))
  mean = np.mean([eye[schema.EMOTIONS.index(_name(part))] for part in names.split('+')], 0)
  return strength * mean + (1 - strength) * eye[schema.NEUTRAL]


def _key(word: str, alone: bool) -> tuple[float, np.ndarray]:
  """Reads one `[seconds:]emotion[@strength]`."""
  match = re.fullmatch(r'(?:([^:@]+):)?([^:@]+)(?:@([^:@]+))?', word)
  if not match:
    raise InputError(f'got the emotion key {word!r}, expected for example {EXAMPLE}')
  time, name, strength = match.groups()
  if time is None and not alone:
    raise InputError(f'got the emotion key {word!r} without a time, expected SECONDS:{word}')
  seconds = 0.0 if time is None else _number('time', time)
  if seconds < 0:
    raise InputError(f'got the emotion time {seconds}, expected seconds >= 0')
  return seconds, blend(name, 1.0 if strength is None else _number('strength', strength))


def _name(text: str) -> str:
  name = _CODES.get(text.lower(), text.lower())
  check_choice('the emotion', name, schema.EMOTIONS)
  return name


def _number(what: str, text: str) -> float:
  try:
    value = float(text)
  except ValueError:
    value = math.nan
  if not math.isfinite(value):
    raise InputError(f'got the emotion {what} {text!r}, expected a number, for example {EXAMPLE}')
  return value


def _check_unit(what: str, value: float) -> None:
  if not 0.0 <= value <= 1.0:  # also refuses NaN
    raise InputError(f'got {what} {value}, expected a number from 0 to 1')
