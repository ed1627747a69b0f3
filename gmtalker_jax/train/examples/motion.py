"""Examples of the motion stage: windows of clips."""

import dataclasses
from functools import partial

from gmtalker_jax.data import windows
from gmtalker_jax.data.statistics import Statistics
from gmtalker_jax.train import settings as settings_lib
from gmtalker_jax.train.examples import clips
from gmtalker_jax.train.settings import Frames, Settings


@dataclasses.dataclass(frozen=True)
class Data(settings_lib.Data):
  """Keys of config.data."""

  frames: Frames  # video frames of a window


def open_examples(settings: Settings, statistics: Statistics | None = None) -> clips.Examples:
  """Opens the records of a run."""
  found = clips.open_clips(settings, statistics)
  example = partial(windows.motion, frames=settings.data.frames, statistics=found.statistics)
  return clips.windows(settings, found, example)
