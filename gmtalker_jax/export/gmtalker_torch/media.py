"""WAV files in; MP4 (with the package `av`) or a folder of PNG pictures out."""

import struct
import wave
import zlib
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np

from .speech import RATE


def read_wav(path: str | Path) -> np.ndarray:
  """A PCM WAV file as mono float32 [S] at 16 kHz; ValueError for anything else."""
  try:
    with wave.open(str(path), 'rb') as file:
      width, rate, channels = file.getsampwidth(), file.getframerate(), file.getnchannels()
      data = file.readframes(file.getnframes())
  except (wave.Error, EOFError, RuntimeError) as error:
    reason = str(error) or 'damaged'
    raise ValueError(
      f'got {path} ({reason}), expected a PCM WAV file; try: ffmpeg -i FILE -ar 16000 -ac 1 out.wav'
    ) from None
  if not 4_000 <= rate <= 400_000:
    raise ValueError(f'got {path} of {rate} samples a second, expected 4,000 to 400,000')
  data = data[: len(data) - len(data) % (width * channels)]  # whole samples
  if width == 1:  # the only unsigned one
    samples = np.frombuffer(data, np.uint8).astype(np.float32) / 128 - 1
  else:  # little-endian; put into the upper bytes of 32 bits
    raw = np.frombuffer(data, np.uint8).reshape(-1, width)
    wide = np.zeros((len(raw), 4), np.uint8)
    wide[:, 4 - width :] = raw
    samples = wide.view('<i4')[:, 0].astype(np.float32) / 2**31
  mono = samples.reshape(-1, channels).mean(1)
  if not len(mono):
    raise ValueError(f'got {path} without sound, expected some')
  return mono if rate == RATE else resample(mono, rate)


def resample(sound: np.ndarray, rate: int) -> np.ndarray:
  """[S] at `rate` to 16 kHz, by a Hann-windowed sinc of 24 zero crossings a side."""
  ratio = Fraction(RATE, rate)
  up, down = ratio.numerator, ratio.denominator
  cutoff = 0.97 * min(1.0, up / down)
  reach = int(24 / cutoff) + 1
  near = np.arange(-reach, reach + 1)

  def taps(phase: np.ndarray) -> np.ndarray:
    at = near[None] - phase[:, None] / up
    window = np.cos(np.pi * np.clip(at / reach, -1, 1) / 2) ** 2
    return (cutoff * np.sinc(cutoff * at) * window).astype(np.float32)

  known = taps(np.arange(up)) if up <= 512 else None  # usual rates have few phases
  windows = np.lib.stride_tricks.sliding_window_view(np.pad(sound, (reach, reach)), len(near))
  made = np.empty(-(-len(sound) * up // down), np.float32)
  for start in range(0, len(made), 4096):
    place = np.arange(start, min(start + 4096, len(made))) * down
    whole, phase = place // up, place % up
    filters = taps(phase) if known is None else known[phase]
    made[start : start + 4096] = np.einsum('nk,nk->n', windows[whole], filters)
  return made


def write(out: str | Path, frames: Iterable[np.ndarray], sound: np.ndarray) -> int:
  """Writes `out`.mp4 with its sound, or a folder of pictures; returns how many there were."""
  if Path(out).suffix == '.mp4':
    return _write_mp4(out, frames, sound)
  Path(out).mkdir(parents=True, exist_ok=True)
  number = -1
  for number, frame in enumerate(frames):
    (Path(out) / f'{number:05d}.png').write_bytes(png(frame))
  return number + 1


def png(picture: np.ndarray) -> bytes:
  """uint8 [H, W, 3] as a PNG file."""
  height, width, _ = picture.shape
  rows = np.concatenate([np.zeros((height, 1), np.uint8), picture.reshape(height, -1)], 1)

  def chunk(kind: bytes, data: bytes) -> bytes:
    checked = kind + data
    return struct.pack('>I', len(data)) + checked + struct.pack('>I', zlib.crc32(checked))

  header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
  body = (
    chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(rows.tobytes())) + chunk(b'IEND', b'')
  )
  return b'\x89PNG\r\n\x1a\n' + body


def _write_mp4(out: str | Path, frames: Iterable[np.ndarray], sound: np.ndarray) -> int:
  try:
    import av
  except ModuleNotFoundError:
    raise ValueError(
      f'got {out} without the package av, expected it for films; run: pip install av, or name a '
      'folder for pictures'
    ) from None
  count = 0
  with av.open(str(out), 'w') as container:
    film = container.add_stream('libx264', rate=25, options={'crf': '18'})
    film.pix_fmt = 'yuv420p'
    voice = container.add_stream('aac', rate=RATE, layout='mono')
    for picture in frames:
      film.height, film.width = picture.shape[:2]
      container.mux(film.encode(av.VideoFrame.from_ndarray(picture, format='rgb24')))
      count += 1
    container.mux(film.encode(None))
    samples = av.AudioFrame.from_ndarray(sound[None].astype(np.float32), 'fltp', 'mono')
    samples.sample_rate, samples.pts, samples.time_base = RATE, 0, Fraction(1, RATE)
    container.mux(voice.encode(samples))
    container.mux(voice.encode(None))
  return count
