"""From a record to an example of each stage. Pure: (record, random generator) -> example."""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from gmtalker_jax.core.arrays import to_signed
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.data.statistics import Statistics
from gmtalker_jax.types import ExpressionBatch, MotionBatch, PortraitBatch

Record = Mapping[str, Any]
Generator = np.random.Generator


def expression(
  record: Record,
  generator: Generator,
  *,
  frames: int,
  statistics: Statistics,
  subjects: Sequence[str],
  soft_levels: bool = True,
) -> ExpressionBatch:
  """A window of one clip for the expression stage; the same fields without the batch axis.

  Args:
    record: see data/schema.py.
    generator: draws where the window starts.
    frames: T, video frames of the window; a shorter clip is padded with zeros and masked.
    statistics: standardise with these.
    subjects: the training people; someone else gets -1.
    soft_levels: see `emotion_weights`.
  """
  window = _Window(len(record['expression']), frames, generator)
  subject = record['subject']
  return ExpressionBatch(
    expression=window.cut(statistics.expression.normalize(record['expression'])),
    speech=window.cut(_speech(record, statistics), schema.SPEECH_PER_FRAME),
    emotion=emotion_weights(record['emotion'], int(record['level']), soft_levels),
    subject=np.int32(subjects.index(subject) if subject in subjects else -1),
    mask=window.cut(record['valid']),
  )


def motion(
  record: Record, generator: Generator, *, frames: int, statistics: Statistics
) -> MotionBatch:
  """A window of one clip for the motion stage; arguments as in `expression`."""
  window = _Window(len(record['motion']), frames, generator)
  return MotionBatch(
    motion=window.cut(statistics.motion.normalize(record['motion'])),
    speech=window.cut(_speech(record, statistics), schema.SPEECH_PER_FRAME),
    mask=window.cut(record['valid']),
  )


def portrait_frames(
  record: Record, latent: np.ndarray, *, input_size: int, output_size: int, soft_levels: bool = True
) -> list[dict[str, np.ndarray]]:
  """All tracked frames of one clip: uint8 pictures of the sizes asked for, weights and latent.

  Raises InputError if the record has no frames or smaller ones; pictures are only ever reduced.
  """
  if not len(record['frames']):
    raise InputError(
      f'got record {record["id"]!r} without frames, expected photographs; prepare with frames'
    )
  weights = emotion_weights(record['emotion'], int(record['level']), soft_levels)
  return [
    {
      'rendering': _reduce(record['renderings'][t], input_size, record['id']),
      'image': _reduce(record['frames'][t], output_size, record['id']),
      'emotion': weights,
      'latent': np.asarray(latent, np.float32),
    }
    for t in np.flatnonzero(np.asarray(record['valid']) > 0)
  ]


def portrait(frame: Mapping[str, np.ndarray], generator: Generator) -> PortraitBatch:
  """One frame of `portrait_frames` as an example of the portrait stage, pictures in -1..1."""
  del generator  # nothing is random here
  return PortraitBatch(
    rendering=to_signed(frame['rendering']),
    image=to_signed(frame['image']),
    emotion=frame['emotion'],
    latent=frame['latent'],
    mask=np.float32(1),
  )


def emotion_weights(emotion: str, level: int, soft_levels: bool = True) -> np.ndarray:
  """Weights [K] on the simplex for a clip (method 2.7); all zero where the emotion is unknown.

  With `soft_levels`, level a of 3 is a/3 of the emotion and the rest neutral. Level 0 (unknown)
  counts as full.
  """
  weights = np.zeros(len(schema.EMOTIONS), np.float32)
  if not emotion:
    return weights
  share = level / schema.LEVELS if soft_levels and level else 1.0
  weights[schema.EMOTIONS.index(emotion)] += share
  weights[schema.NEUTRAL] += 1 - share
  return weights


class _Window:
  """T frames from somewhere in a clip; the same somewhere for all its arrays."""

  def __init__(self, length: int, frames: int, generator: Generator):
    self._frames = frames
    self._start = int(generator.integers(0, max(length - frames, 0) + 1))

  def cut(self, rows: np.ndarray, rate: int = 1) -> np.ndarray:
    """Rows of the window as float32, zeros after the end; `rate` rows per video frame."""
    part = rows[self._start * rate : (self._start + self._frames) * rate]
    padding = [(0, self._frames * rate - len(part))] + [(0, 0)] * (rows.ndim - 1)
    return np.pad(part, padding).astype(np.float32)


def _speech(record: Record, statistics: Statistics) -> np.ndarray:
  return statistics.speech.normalize(np.asarray(record['speech'], np.float32))


def _reduce(image: np.ndarray, size: int, name: str) -> np.ndarray:
  height, width = image.shape[:2]
  if min(height, width) < size or height != width:
    raise InputError(
      f'got pictures of {width}x{height} in record {name!r}, expected squares of {size} or more; '
      'prepare with a larger size or train a smaller portrait'
    )
  if height == size:
    return image
  return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
