"""The lag of the sound: recovered where there is one, left alone where nobody can tell."""

import numpy as np
import pytest

from data_pipelines import lag


def mouth(frames, seed):
  """A smooth random opening at 100 Hz, long enough to be shifted."""
  noise = np.random.default_rng(seed).normal(size=4 * frames + 400)
  smooth = np.convolve(noise, np.hanning(25), 'same')
  return smooth / smooth.std()


@pytest.mark.parametrize('seconds', [-0.25, -0.07, 0.0, 0.08, 0.21, 0.25])
@pytest.mark.parametrize('start', [0, 30])
def test_align_finds_the_shift_of_a_noisy_prediction(seconds, start):
  frames = 100
  track = mouth(frames + start, 1)
  rng = np.random.default_rng(2)
  seen = 100 + 4 * (start + np.arange(frames))
  opening = track[seen] + 0.3 * rng.normal(size=frames)
  heard = 100 + 2 * np.arange(2 * (frames + start)) - round(100 * seconds)
  predicted = track[heard] + 0.5 * rng.normal(size=len(heard))
  found = lag.align(predicted, opening, start)
  assert found.best == pytest.approx(seconds, abs=0.02)
  expected = 0.0 if abs(seconds) < 0.05 else seconds
  assert found.seconds == pytest.approx(expected, abs=0.02)


def test_unrelated_sound_is_rarely_corrected():
  pairs = [(mouth(75, i), mouth(75, 100 + i)) for i in range(40)]
  found = [lag.align(a[100:250], b[100:400:4]) for a, b in pairs]
  assert np.mean([f.seconds != 0 for f in found]) < 0.5
  still = lag.align(np.zeros(150), np.zeros(75))
  assert still.seconds == 0


def test_lip_opening_is_free_of_scale_and_bridges_lost_frames():
  points = np.random.default_rng(0).normal(size=(5, 478, 2))
  valid = np.array([1, 1, 0, 1, 1])
  opening = lag.lip_opening(points, valid)
  np.testing.assert_allclose(opening, lag.lip_opening(points * 7 + 3, valid), rtol=1e-6)
  assert opening[2] == pytest.approx((opening[1] + opening[3]) / 2)


def test_fit_predictor_learns_a_linear_mouth():
  rng = np.random.default_rng(0)
  direction = rng.normal(size=96)
  clips = []
  for _ in range(12):
    features = rng.normal(size=(160, 176)).astype(np.float32)
    both = (features[:-1, 80:] + features[1:, 80:]) / 2
    clips.append(((both @ direction)[::2], features))
  weights = lag.fit_predictor(clips)
  opening, features = clips[0]
  predicted = (lag._inputs(features) @ weights)[::2]
  assert np.corrcoef(predicted, opening)[0, 1] > 0.8
  assert weights.shape == lag._predictor().shape
