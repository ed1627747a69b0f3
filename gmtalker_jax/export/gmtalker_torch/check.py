"""Does this machine compute what the exporter did? Golden inputs and outputs lie in the folder."""

from typing import NamedTuple

import numpy as np
from safetensors.numpy import load_file

from .talker import Talker

# Largest mean absolute difference: of features, coefficients and latents; of pictures in 0..1.
NUMBERS, PICTURES = 1e-4, 1 / 255


class Result(NamedTuple):
  """One output beside the golden one."""

  name: str
  mean: float  # absolute difference
  largest: float
  limit: float  # of the mean

  @property
  def passed(self) -> bool:
    """Whether the two are the same, but for rounding; never where there is a NaN."""
    return self.mean <= self.limit


def golden(talker: Talker, path: str) -> list[Result]:
  """Speaks the golden sound and compares every step on the way with that of the exporter."""
  kept = load_file(path)
  seed = int(kept['seed'])
  talk = talker.speak(kept['sound'], kept['emotion'], seed=seed)
  at = kept['painted']  # the frames of which there are pictures
  rendering = talker.render(talk.expression[at], talk.motion[at])
  frames = talker.paint_batch(rendering, kept['emotion'][at], talk.latent[at])
  made = {
    'features': talker.listen(kept['sound']),
    'expression': talk.expression,
    'motion': talk.motion,
    'latent': talk.latent,
    'rendering': rendering,
    'frames': frames,
  }
  return [_compare(name, value, kept[name]) for name, value in made.items()]


def _compare(name: str, made: np.ndarray, kept: np.ndarray) -> Result:
  picture = kept.dtype == np.uint8
  if made.shape != kept.shape:
    return Result(name, float('inf'), float('inf'), 0.0)
  gap = np.abs(made.astype(np.float64) - kept) / (255 if picture else 1)
  return Result(name, float(gap.mean()), float(gap.max()), PICTURES if picture else NUMBERS)
