"""From a record to an example of each stage. Pure: (item, rng) -> example."""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from gmtalker_jax.core.arrays import to_signed
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import emotion as emotions
from gmtalker_jax.data import latent as latents
from gmtalker_jax.data import schema
from gmtalker_jax.data.statistics import Statistics
from gmtalker_jax.types import ExpressionBatch, MotionBatch, PortraitBatch

Record = Mapping[str, Any]


def expression(
  record: Record,
  rng: np.random.Generator,
  *,
  frames: int,
  statistics: Statistics,
  subjects: Sequence[str],
  soft_levels: bool = True,
  unknown_emotion: float = 0.3,
) -> ExpressionBatch:
  """A window of one clip for the expression stage; the same fields without the batch axis.

  Args:
    record: see data/schema.py.
    rng: draws where the window starts, and an emotion that is unknown.
    frames: T, video frames of the window; a shorter clip is padded with zeros and masked.
    statistics: standardise with these.
    subjects: the training people; someone else gets -1.
    soft_levels, unknown_emotion: see data/emotion.py.
  """
  window = _Window(len(record['expression']), frames, rng)
  subject = record['subject']
  shown = emotions.of(record, rng, soft_levels, unknown_emotion)
  return ExpressionBatch(
    expression=window.cut(statistics.expression.normalize(record['expression'])),
    speech=window.cut(_speech(record, statistics), schema.SPEECH_PER_FRAME),
    emotion=shown.weights,
    labelled=np.float32(shown.labelled),
    subject=np.int32(subjects.index(subject) if subject in subjects else -1),
    mask=window.cut(record['valid']),
  )


def motion(
  record: Record, rng: np.random.Generator, *, frames: int, statistics: Statistics
) -> MotionBatch:
  """A window of one clip for the motion stage; arguments as in `expression`."""
  window = _Window(len(record['motion']), frames, rng)
  return MotionBatch(
    motion=window.cut(statistics.motion.normalize(record['motion'])),
    speech=window.cut(_speech(record, statistics), schema.SPEECH_PER_FRAME),
    mask=window.cut(record['valid']),
  )


def portrait(
  frame: Mapping[str, Any],
  rng: np.random.Generator,
  *,
  input_size: int,
  output_size: int,
  mixtures: latents.Mixtures | None = None,
  posterior_share: float = 0.5,
  temperature: float = 1.0,
  soft_levels: bool = True,
  unknown_emotion: float = 0.3,
) -> PortraitBatch:
  """One frame (an item of data/frames.py) as an example of the portrait stage, pictures in -1..1.

  Args:
    frame: photograph, rendering, the law of z of its clip, and the emotion of its clip.
    rng: draws z, and an emotion that is unknown.
    input_size: pixels of the rendering.
    output_size: pixels of the photograph.
    mixtures, posterior_share, temperature: see data/latent.py.
    soft_levels, unknown_emotion: see data/emotion.py.

  Raises InputError for smaller pictures: they are only ever reduced.
  """
  emotion = emotions.of(frame, rng, soft_levels, unknown_emotion).weights
  return PortraitBatch(
    rendering=to_signed(reduce(frame['rendering'], input_size, frame['id'])),
    image=to_signed(reduce(frame['photograph'], output_size, frame['id'])),
    emotion=emotion,
    latent=latents.draw(frame['latent'], mixtures, emotion, posterior_share, temperature, rng),
    mask=np.float32(1),
  )


class _Window:
  """T frames from somewhere in a clip; the same somewhere for all its arrays."""

  def __init__(self, length: int, frames: int, rng: np.random.Generator):
    self._frames = frames
    self._start = int(rng.integers(0, max(length - frames, 0) + 1))

  def cut(self, rows: np.ndarray, rate: int = 1) -> np.ndarray:
    """Rows of the window as float32, zeros after the end; `rate` rows per video frame."""
    part = rows[self._start * rate : (self._start + self._frames) * rate]
    padding = [(0, self._frames * rate - len(part))] + [(0, 0)] * (rows.ndim - 1)
    return np.pad(part, padding).astype(np.float32)


def _speech(record: Record, statistics: Statistics) -> np.ndarray:
  return statistics.speech.normalize(np.asarray(record['speech'], np.float32))


def reduce(image: np.ndarray, size: int, name: str) -> np.ndarray:
  """A square picture of `size` pixels from one that is not smaller."""
  height, width = image.shape[:2]
  if min(height, width) < size or height != width:
    raise InputError(
      f'got pictures of {width}x{height} in record {name!r}, expected squares of {size} or more; '
      'prepare with a larger size or train a smaller portrait'
    )
  if height == size:
    return image
  return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
