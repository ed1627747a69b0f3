"""Log-mel energies: 80 bands of a 25 ms window centred on the row."""

import functools

import numpy as np

from gmtalker_jax.data import schema
from gmtalker_jax.speech.encoder import HOP, ROWS_AT_ONCE, Encoder, digest, row_count

MELS = 80
FLOOR = 1e-8  # of the power of a full-scale sine: a band at -80 dB or below is silence

_WINDOW = 400  # 25 ms
_BEFORE = (_WINDOW - HOP) // 2  # samples of the window before the row, and as many after it
_FFT = 1024  # zero-padded, so that the lowest mel bands are wider than a bin
_BAND = (50.0, 7600.0)  # Hz


def encode(wave: np.ndarray) -> np.ndarray:
  """[S] -> [2T, 80] log10 of mel band powers relative to a full-scale sine, floored at -8."""
  rows = row_count(len(wave))
  padded = np.pad(wave, (_BEFORE, rows * HOP + _WINDOW - len(wave)))
  frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::HOP][:rows]
  window = _hann()
  bank = _mel_bank()
  out = np.empty((rows, MELS), np.float32)
  for i in range(0, rows, ROWS_AT_ONCE):
    spectrum = np.fft.rfft(frames[i : i + ROWS_AT_ONCE] * window, _FFT)
    out[i : i + ROWS_AT_ONCE] = np.square(np.abs(spectrum)) @ bank
  return np.log10(np.maximum(out, FLOOR))


def _hann() -> np.ndarray:
  """A periodic Hann window scaled so that the spectrum of a full-scale sine has power 1 in all."""
  window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
  return (2 * window / np.sqrt(_FFT * np.square(window).sum())).astype(np.float32)


@functools.cache
def _mel_bank() -> np.ndarray:
  """[bins, 80] triangles of peak 1, equally spaced on the mel scale from 50 to 7600 Hz."""

  def mel(hz: float) -> float:
    return 2595 * np.log10(1 + hz / 700)

  edges = 700 * (10 ** (np.linspace(mel(_BAND[0]), mel(_BAND[1]), MELS + 2) / 2595) - 1)
  hz = np.arange(_FFT // 2 + 1)[:, None] * (schema.SAMPLE_RATE / _FFT)
  rising = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
  falling = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
  return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


def _digest() -> str:
  # The words change with the code below the constants, if that ever changes the numbers.
  words = 'periodic Hann, power, triangles of peak 1 on 2595 log10(1 + f / 700), log10'
  return digest(words, schema.SAMPLE_RATE, HOP, _WINDOW, _FFT, MELS, *_BAND, FLOOR)


LOGMEL = Encoder('logmel', MELS, 1000 * _BEFORE / schema.SAMPLE_RATE, _digest, encode)
