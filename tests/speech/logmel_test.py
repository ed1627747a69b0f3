import numpy as np
from scipy import signal

from gmtalker_jax import speech
from gmtalker_jax.data import schema
from gmtalker_jax.speech import logmel, loudness

RATE = schema.SAMPLE_RATE


def noise(seconds):
  count = int(seconds * RATE)
  return 0.05 * np.random.default_rng(0).standard_normal(count).astype(np.float32)


def test_against_scipy_stft():
  wave = noise(0.8)
  hann = signal.windows.hann(400, sym=False)
  stft = signal.ShortTimeFFT(hann, 320, RATE, mfft=1024, scale_to=None)
  # slice p of the STFT is centred on sample 320 p; a row is centred 160 samples later
  power = (
    np.abs(stft.stft(np.pad(wave, (0, 640))[160:], p0=0, p1=40)) ** 2
    * 4
    / (1024 * np.square(hann).sum())
  )
  hz = np.linspace(0, RATE / 2, 513)
  mel = np.linspace(2595 * np.log10(1 + 50 / 700), 2595 * np.log10(1 + 7600 / 700), 82)
  edges = 700 * (10 ** (mel / 2595) - 1)
  bank = np.stack([np.interp(hz, edges[k : k + 3], [0, 1, 0]) for k in range(80)])
  expected = np.log10(np.maximum(bank @ power, 1e-8)).T
  np.testing.assert_allclose(logmel.encode(wave)[1:39], expected[1:39], atol=2e-3)


def test_full_scale_sine_is_zero_decibel():
  wave = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
  power = (10.0 ** logmel.encode(wave)[10:40]).sum(1)  # triangles sum to 1
  np.testing.assert_allclose(10 * np.log10(power), 0, atol=0.1)


def test_silence_stays_silent():
  for wave in (np.zeros(RATE), noise(1) * 5e-5):
    for name in ('logmel', 'causal:logmel'):
      assert (speech.encode(wave, name) <= np.log10(logmel.FLOOR) + 1e-6).all()
  quiet = loudness.level(noise(1) * 1e-3)
  np.testing.assert_allclose(quiet, 10 * noise(1) * 1e-3, rtol=1e-5)


def test_loudness_does_not_matter():
  wave = noise(1)
  a, b = speech.encode(wave, 'logmel'), speech.encode(wave / 4, 'logmel')
  np.testing.assert_allclose(a, b, atol=1e-4)
