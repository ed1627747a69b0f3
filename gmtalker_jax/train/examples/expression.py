"""Examples of the expression stage: windows of clips, with their emotion and their person."""

import dataclasses
from functools import partial

from gmtalker_jax.core.bounds import Amount
from gmtalker_jax.data import windows
from gmtalker_jax.data.statistics import Statistics
from gmtalker_jax.train import settings as settings_lib
from gmtalker_jax.train.examples import clips
from gmtalker_jax.train.settings import Frames, Settings


@dataclasses.dataclass(frozen=True)
class Data(settings_lib.Data):
  """Keys of config.data."""

  frames: Frames  # video frames of a window
  soft_levels: bool  # intensity levels as soft labels
  unknown_emotion: Amount  # see data/emotion.py


def open_examples(settings: Settings, statistics: Statistics | None = None) -> clips.Examples:
  """Opens the records of a run."""
  found = clips.open_clips(settings, statistics)
  example = partial(
    windows.expression,
    frames=settings.data.frames,
    statistics=found.statistics,
    subjects=found.source.subjects,
    soft_levels=settings.data.soft_levels,
    unknown_emotion=settings.data.unknown_emotion,
  )
  return clips.windows(settings, found, example)
