"""A long recording is cut where nobody speaks, and its end is held out."""

import itertools

import numpy as np
import pytest

from data_pipelines import cuts
from gmtalker_jax.data.schema import FRAME_RATE, SAMPLES_PER_FRAME


def recording(seconds, pauses):
  """Noise with silent moments (frames)."""
  frames = round(seconds * FRAME_RATE)
  wave = np.random.default_rng(0).normal(0, 0.1, frames * SAMPLES_PER_FRAME)
  for pause in pauses:
    wave[(pause - 3) * SAMPLES_PER_FRAME : (pause + 4) * SAMPLES_PER_FRAME] = 0
  return wave.astype(np.float32), frames


def test_cuts_are_where_it_is_quiet():
  wave, frames = recording(20, pauses=(130, 260, 400))
  pieces = cuts.at_pauses(wave, frames)
  starts = np.array([start for start, _ in pieces])
  assert np.abs(starts - [0, 130, 260, 400]).max() <= 3


@pytest.mark.parametrize('seconds', [1, 3, 7.9, 8.1, 10, 16.4, 71.3])
def test_pieces_cover_everything_and_keep_their_lengths(seconds):
  wave, frames = recording(seconds, pauses=())
  pieces = cuts.at_pauses(wave[: frames * SAMPLES_PER_FRAME - 300], frames)
  assert pieces[0][0] == 0
  assert pieces[-1][1] == frames
  assert all(a[1] == b[0] for a, b in itertools.pairwise(pieces))
  lengths = [(stop - start) / FRAME_RATE for start, stop in pieces]
  assert max(lengths) <= cuts.LONGEST
  assert min(lengths) >= min(cuts.SHORTEST, seconds)


def test_the_end_is_held_out():
  assert cuts.held_out([100]) == 0
  assert cuts.held_out([100, 100]) == 1
  assert cuts.held_out([100] * 20) == 3
  assert cuts.held_out([150] * 5 + [30, 50, 50]) == 3
