"""Where a long recording is cut into clips, and which of them are held out."""

import numpy as np

from gmtalker_jax.data.schema import FRAME_RATE, SAMPLES_PER_FRAME

SHORTEST, LONGEST = 3.0, 8.0  # seconds of a clip
HELD_OUT = 0.15  # of the time, at the end

_HUSH = 5  # frames over which loudness is averaged: a stop consonant is no pause


def at_pauses(wave: np.ndarray, frames: int) -> list[tuple[int, int]]:
  """Cuts [start, stop) of video frames, each at the quietest moment that the lengths allow.

  Args:
    wave: [S] samples at 16 kHz.
    frames: T of the recording.

  Returns:
    pieces that cover all frames; none is longer than LONGEST, and none shorter than SHORTEST
    unless the whole is.
  """
  loud = _loudness(wave, frames)
  shortest, longest = round(SHORTEST * FRAME_RATE), round(LONGEST * FRAME_RATE)
  starts = [0]
  while frames - starts[-1] > longest:
    low = starts[-1] + shortest
    high = min(starts[-1] + longest, frames - shortest)
    starts.append(low + int(np.argmin(loud[low : high + 1])))
  return list(zip(starts, [*starts[1:], frames], strict=True))


def held_out(lengths: list[int], share: float = HELD_OUT) -> int:
  """How many of these pieces, from the end, come nearest to a share of the time.

  At least one, and never all; 0 where there is only one.
  """
  total, best = sum(lengths), 1
  for count in range(1, len(lengths)):
    if abs(sum(lengths[-count:]) - share * total) < abs(sum(lengths[-best:]) - share * total):
      best = count
  return min(best, len(lengths) - 1)


def _loudness(wave: np.ndarray, frames: int) -> np.ndarray:
  """Root mean square [T] around each frame's beginning."""
  wave = np.pad(np.asarray(wave, np.float64), (0, max(frames * SAMPLES_PER_FRAME - len(wave), 0)))
  power = np.square(wave[: frames * SAMPLES_PER_FRAME]).reshape(frames, -1).mean(1)
  padded = np.pad(power, (_HUSH // 2, _HUSH // 2), mode='edge')
  return np.sqrt(np.convolve(padded, np.ones(_HUSH) / _HUSH, mode='valid'))
