"""Head, eyelids and eyes."""

import numpy as np

from data_pipelines.procedural.people import Style
from data_pipelines.procedural.voice import Phoneme
from gmtalker_jax.data import schema


def move(
  emotion: str,
  level: int,
  style: Style,
  phonemes: list[Phoneme],
  frames: int,
  rng: np.random.Generator,
) -> np.ndarray:
  """[T, 12] float32 motion in the order of schema.MOTION_NAMES."""
  time = (np.arange(frames) + 0.5) / schema.FRAME_RATE
  out = np.zeros((frames, len(schema.MOTION_NAMES)), np.float32)
  phase = rng.uniform(0, 2 * np.pi, 3)
  swing = np.sin(2 * np.pi * np.outer(time, (0.31, 0.23, 0.17)) + phase)
  out[:, schema.ROTATION] = style.motion_scale * 0.04 * swing + np.asarray(style.posture)
  return out
