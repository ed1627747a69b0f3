import numpy as np

from gmtalker_jax.data import schema
from gmtalker_jax.speech import loudness

FRAME = schema.SAMPLES_PER_FRAME


def noise(seconds, rms, seed=0):
  count = int(seconds * schema.SAMPLE_RATE)
  return (rms * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)


def rms(wave):
  return np.sqrt(np.square(wave, dtype=np.float64).mean())


def test_the_whole_clip_comes_to_one_level():
  speaking = np.concatenate([noise(1, 0.02), np.zeros(16_000, np.float32)])
  scaled = loudness.level(speaking)
  np.testing.assert_allclose(rms(scaled[:16_000]), 0.08, rtol=0.03)  # the pause does not count
  np.testing.assert_allclose(scaled / 4, speaking * (scaled[0] / speaking[0]) / 4, rtol=1e-6)


def test_the_past_comes_to_the_same_level():
  for level in (0.012, 0.05, 0.3):
    scaled = loudness.follow(noise(16, level))
    np.testing.assert_allclose(rms(scaled[-16_000:]), 0.08, rtol=0.05)


def test_the_first_frame_is_taken_as_it_is():
  np.testing.assert_array_equal(loudness.follow(noise(1, 0.02))[:FRAME], noise(1, 0.02)[:FRAME])


def test_silence_is_not_remembered():
  before, pause, after = noise(6, 0.02), noise(30, 0.002, 1), noise(6, 0.02, 2)
  whole = loudness.follow(np.concatenate([before, pause, after]))
  spoken = loudness.follow(np.concatenate([before, after]))
  settled = (
    len(after) - FRAME
  )  # the gain of the last word is still being reached in the first frame
  np.testing.assert_allclose(whole[-settled:], spoken[-settled:], rtol=1e-6)


def test_the_gain_has_no_steps():
  wave = np.concatenate([np.full(FRAME * 60, 0.02), np.full(FRAME * 60, 0.2)]).astype(np.float32)
  gain = loudness.follow(wave) / wave
  assert gain.max() / gain.min() > 3
  assert np.abs(np.diff(gain)).max() < 2 * np.ptp(gain) / FRAME


def test_a_cry_after_a_whisper_stays_within_full_scale():
  scaled = loudness.follow(np.concatenate([noise(12, 0.01), np.ones(FRAME, np.float32)]))
  assert scaled[-FRAME] > 0.99
  assert np.abs(scaled).max() == 1
