"""Brings speech to one level, so that the distance to the microphone does not matter.

The level is the root mean square of the loudest fifth of the 40 ms frames, so pauses do not count;
the gain is bounded, so what is quieter than a tenth of the target stays quiet.
"""

import collections

import numpy as np

from gmtalker_jax.data import schema
from gmtalker_jax.speech.encoder import digest

_LEVEL = 0.08  # root mean square of active speech afterwards, about -22 dBFS
_GAIN = (0.1, 10.0)

_MEMORY = 250  # frames that `follow` remembers: 10 s of sound
_SETTLED = 75  # frames, 3 s, until `follow` believes what it heard; it begins with a gain of 1


def level(waveform: np.ndarray) -> np.ndarray:
  """Scales a whole clip [S] with one gain. Every sample has a say in it."""
  return waveform * _gain(_power(waveform))


def follow(waveform: np.ndarray) -> np.ndarray:
  """Scales sound [S] with a gain that knows only the past, cut to full scale.

  The gain of a frame comes from the frames before it and is reached at the frame's end, linearly.
  Silence is not remembered: a listener's pause must not turn up the noise of the room.
  """
  heard: collections.deque[np.float32] = collections.deque(maxlen=_MEMORY)
  gain, gains = 1.0, [1.0]
  for power in _power(waveform):
    gains.append(gain)
    if power > (_LEVEL / _GAIN[1]) ** 2:
      heard.append(power)
      gain = float(_gain(np.array(heard))) ** min(1.0, len(heard) / _SETTLED)
  frames = np.arange(len(waveform)) / schema.SAMPLES_PER_FRAME
  ramp = np.interp(frames, np.arange(len(gains)), gains).astype(np.float32)
  # A cry after a whisper would else be so loud that the floor of melspectrogram.onnx, 80 dB below
  # the loudest sound of a call, rises above ours (embedding.py): the future would matter.
  return np.clip(waveform * ramp, -1.0, 1.0)


LEVEL_DIGEST = digest('loudest fifth of 40 ms', _LEVEL, *_GAIN)
FOLLOW_DIGEST = digest('loudest fifth of the past, linear', _LEVEL, *_GAIN, _MEMORY, _SETTLED)


def _power(waveform: np.ndarray) -> np.ndarray:
  """[T] mean square of each 40 ms frame; what is missing of the last counts as silence."""
  frames = schema.frame_count(len(waveform))
  padded = np.pad(waveform, (0, frames * schema.SAMPLES_PER_FRAME - len(waveform)))
  return np.square(padded.reshape(frames, -1), dtype=np.float32).mean(1)


def _gain(power: np.ndarray) -> np.float32:
  loud = np.sort(power)[-max(1, len(power) // 5) :]
  rms = np.sqrt(loud.mean(dtype=np.float64))
  return np.float32(np.clip(_LEVEL / max(rms, 1e-9), *_GAIN))
