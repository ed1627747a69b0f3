"""Video files: any frame rate and codec in (as 25 fps), H.264 + AAC in MP4 out."""

import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data.schema import FRAME_RATE, SAMPLE_RATE
from gmtalker_jax.io import files, media


class _Source(NamedTuple):
  """One frame of the file and its time in seconds after the file's zero."""

  frame: av.VideoFrame
  time: float


def stream(path: str | os.PathLike) -> Iterator[np.ndarray]:
  """Reads a clip at 25 fps, one uint8 [H, W, 3] RGB frame at a time.

  Frame k is the file's frame that is nearest to k / 25 s; the first is held where the sound begins
  before the picture. Variable rates, odd sizes and rotated phone clips are handled.

  Raises:
    InputError: the file is missing, empty, no video, damaged, or ends before it says it does.
  """
  return (to_rgb(s.frame) for s in _resampled(_decode(path)))


def write(
  path: str | os.PathLike,
  frames: Iterable[np.ndarray],
  audio: np.ndarray | None = None,
  rate: int = SAMPLE_RATE,
  crf: int = 16,
) -> int:
  """Writes an MP4 (H.264 yuv420p, AAC 128 kb/s, index in front) at 25 fps; returns the frame count.

  Args:
    path: file to write; appears only when complete.
    frames: uint8 [H, W, 3] RGB, any iterable; an odd side is padded by one repeated row or column.
    audio: float [S] mono in -1..1, or None for a silent file. Starts with the first frame.
    rate: samples per second of `audio`.
    crf: x264 quality, smaller is better.

  Raises:
    InputError: no frames, or frames that differ in size or are not uint8 RGB.
  """
  with files.replacing(path) as part, media.new_mp4(part, rate) as container:
    return _encode(container, iter(frames), audio, rate, crf)


def to_rgb(frame: av.VideoFrame) -> np.ndarray:
  """One decoded frame as uint8 [H, W, 3], upright."""
  rgb = frame.to_ndarray(format='rgb24')
  turns = round(frame.rotation / 90) % 4
  return np.ascontiguousarray(np.rot90(rgb, turns)) if turns else rgb


def _decode(path) -> Iterator[_Source]:
  with media.opened(path, 'video') as container:
    track = container.streams.video[0]
    track.thread_type = 'AUTO'
    zero, expected = media.origin(container), track.frames  # 0 where the file does not say
    count, last = 0, -1.0
    for frame in container.decode(track):
      time = float(frame.pts * frame.time_base - zero) if frame.pts is not None else None
      time = last + 1 / FRAME_RATE if time is None else time
      if time <= last:  # a broken index repeats timestamps; the picture order still stands
        continue
      count, last = count + 1, time
      yield _Source(frame, time)
    if count == 0 or count < expected - max(3, expected // 50):
      raise InputError(
        f'got {path} that ends after {count} of {expected} frames, expected a whole video, '
        'copy or download it again'
      )


def _resampled(sources: Iterator[_Source]) -> Iterator[_Source]:
  """Emits, for k = 0, 1, ..., the source that is nearest to k / 25 s."""
  k, held, step = 0, None, 1 / FRAME_RATE
  for source in sources:
    if held is not None:
      step = source.time - held.time
      while abs(k / FRAME_RATE - held.time) <= abs(k / FRAME_RATE - source.time):
        yield held
        k += 1
    held = source
  assert held is not None, '_decode refuses a file without frames'
  end = round((held.time + step) * FRAME_RATE)  # the last frame lasts as long as the one before
  while k < max(end, 1):
    yield held
    k += 1


def _encode(container, frames: Iterator[np.ndarray], audio, rate: int, crf: int) -> int:
  first = next(frames, None)
  if first is None:
    raise InputError('got no frames, expected at least one to write a video')
  picture = _picture_track(container, _check(first, first.shape), crf)
  sound = None if audio is None else _SoundTrack(container, audio, rate)
  count = 0
  while first is not None:
    frame = av.VideoFrame.from_ndarray(_even(first), format='rgb24')
    frame = frame.reformat(format='yuv420p', dst_colorspace='ITU709', dst_color_range='MPEG')
    frame.pts, frame.time_base = count, Fraction(1, FRAME_RATE)
    container.mux(picture.encode(frame))
    count += 1
    if sound:
      sound.write_until(count / FRAME_RATE)
    shape, first = first.shape, next(frames, None)
    if first is not None:
      _check(first, shape)
  container.mux(picture.encode(None))
  if sound:
    sound.finish()
  return count


def _check(frame: np.ndarray, shape) -> np.ndarray:
  if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.shape != shape:
    raise InputError(
      f'got a frame {frame.dtype}{list(frame.shape)}, expected uint8{list(shape[:2])} x 3 channels '
      'like the first; give frames of one size'
    )
  return frame


def _even(frame: np.ndarray) -> np.ndarray:
  height, width = frame.shape[:2]
  if height % 2 or width % 2:
    frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode='edge')
  return np.ascontiguousarray(frame)


def _picture_track(container, frame: np.ndarray, crf: int):
  height, width = _even(frame).shape[:2]
  track = container.add_stream('libx264', rate=FRAME_RATE)
  track.width, track.height, track.pix_fmt = width, height, 'yuv420p'
  track.options = {'crf': str(crf), 'preset': 'veryfast'}
  context = track.codec_context
  context.time_base = Fraction(1, FRAME_RATE)
  context.thread_count = 1  # x264 cuts its work by the number of cores: other cores, other bytes
  context.colorspace, context.color_primaries, context.color_trc = 1, 1, 1  # all BT.709
  context.color_range = 1  # limited
  return track


class _SoundTrack:
  """An AAC track that is written bit by bit, in step with the picture."""

  def __init__(self, container, audio: np.ndarray, rate: int):
    self.container, self.rate, self.done = container, rate, 0
    self.audio = np.clip(np.asarray(audio, np.float32), -1.0, 1.0)
    if self.audio.ndim != 1:
      raise InputError(f'got audio {list(self.audio.shape)}, expected mono samples [S]')
    self.track = container.add_stream('aac', rate=rate, layout='mono')
    self.track.bit_rate = 128_000

  def write_until(self, seconds: float) -> None:
    end = min(int(seconds * self.rate), len(self.audio))
    while self.done < end:
      chunk = self.audio[self.done : min(self.done + 1024, len(self.audio))]
      frame = av.AudioFrame.from_ndarray(chunk[None], format='fltp', layout='mono')
      frame.sample_rate, frame.pts, frame.time_base = self.rate, self.done, Fraction(1, self.rate)
      self.container.mux(self.track.encode(frame))
      self.done += len(chunk)

  def finish(self) -> None:
    self.write_until(np.inf if not len(self.audio) else len(self.audio) / self.rate + 1)
    self.container.mux(self.track.encode(None))
