"""Sound files: anything PyAV decodes in, WAV or M4A out."""

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data.schema import SAMPLE_RATE
from gmtalker_jax.io import files, media

# PyAV reads beyond the memory of a frame that has more planes than this (18.1: a crash).
_MOST_CHANNELS = 8


def read(path: str | os.PathLike, rate: int = SAMPLE_RATE) -> np.ndarray:
  """Reads the sound of any audio or video file as float32 [S] mono in -1..1 at `rate`.

  Sample 0 belongs to the same instant as frame 0 of `video.stream`: where the picture begins
  earlier, silence is put before the sound.

  Raises:
    InputError: the file is missing, empty, without sound, or damaged.
  """
  with media.opened(path, 'audio') as container:
    track = container.streams.audio[0]
    try:
      if track.layout.nb_channels > _MOST_CHANNELS:
        raise ValueError(f'{track.layout.nb_channels} channels, not {_MOST_CHANNELS} at most')
      rate_in, expected = track.rate, _expected_samples(container, track)
      lead, wave = _decode(container, track)
    except (AttributeError, ValueError) as error:  # a codec, or a layout, that there is not
      raise InputError(
        f'got {path} whose sound cannot be decoded ({error}); copy it again'
      ) from None
  if len(wave) == 0 or len(wave) < expected - rate_in // 4:
    raise InputError(
      f'got {path} whose sound ends after {len(wave)} of {expected} samples, expected whole sound, '
      'copy or download it again'
    )
  wave = wave[: expected or None]  # codecs fill up their last block
  wave = np.concatenate([np.zeros(max(round(lead * rate_in), 0), np.float32), wave])
  return wave if rate_in == rate else soxr.resample(wave, rate_in, rate).astype(np.float32)


def write(path: str | os.PathLike, wave: np.ndarray, rate: int = SAMPLE_RATE) -> None:
  """Writes float [S] mono in -1..1 as .wav (16 bit) or .m4a (AAC 128 kb/s), atomically.

  Raises:
    InputError: another suffix, or samples that are not finite mono.
  """
  wave = np.asarray(wave, np.float32)
  if wave.ndim != 1 or not np.isfinite(wave).all():
    raise InputError(f'got samples {list(wave.shape)}, expected finite mono samples [S]')
  wave, suffix = np.clip(wave, -1.0, 1.0), Path(path).suffix.lower()
  if suffix not in ('.wav', '.m4a'):
    raise InputError(f'got {path}, expected a name that ends in .wav or .m4a')
  with files.replacing(path) as part:
    if suffix == '.wav':
      soundfile.write(part, wave, rate, format='WAV', subtype='PCM_16')
    else:
      _write_m4a(part, wave, rate)


def _expected_samples(container, track) -> int:
  """Samples that the index of an MP4 promises; 0 for other formats, which only estimate."""
  if 'mp4' not in container.format.name.split(',') or not track.duration:
    return 0
  return round(track.duration * track.time_base * track.rate)


def _decode(container, track) -> tuple[float, np.ndarray]:
  """Returns the seconds from the file's zero to the first sample, and the samples, mono."""
  to_float = av.AudioResampler(format='fltp', layout=track.layout.name, rate=track.rate)
  chunks: list[np.ndarray] = [np.zeros(0, np.float32)]
  lead = None
  for frame in container.decode(track):
    if lead is None and frame.pts is not None:
      lead = float(frame.pts * frame.time_base - media.origin(container))
    chunks += [f.to_ndarray().mean(0) for f in to_float.resample(frame)]
  chunks += [f.to_ndarray().mean(0) for f in to_float.resample(None)]
  return lead or 0.0, np.concatenate(chunks).astype(np.float32)


def _write_m4a(path: Path, wave: np.ndarray, rate: int) -> None:
  with media.new_mp4(path, rate) as container:
    track = container.add_stream('aac', rate=rate, layout='mono')
    track.bit_rate = 128_000
    frame = av.AudioFrame.from_ndarray(wave[None], format='fltp', layout='mono')
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    container.mux(track.encode(frame))
    container.mux(track.encode(None))
