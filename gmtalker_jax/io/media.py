"""Opening media files: what video and audio share."""

import contextlib
import os
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from gmtalker_jax.core.errors import InputError


@contextlib.contextmanager
def opened(path: str | os.PathLike, kind: str) -> Generator[Any, None, None]:
  """Opens a media file that must hold a `kind` ('video' or 'audio') stream; yields the container.

  Any fault of the file, also one met later while decoding inside the block, is an InputError.
  """
  path = Path(path)
  check_file(path)
  try:
    with av.open(str(path)) as container:
      if not getattr(container.streams, kind):
        have = sorted({s.type for s in container.streams}) or 'no streams at all'
        raise InputError(f'got {path} with {have}, expected a file with {kind}, choose another')
      yield container
  except av.error.FFmpegError as error:
    reason = error.strerror or type(error).__name__
    raise InputError(
      f'got {path} that cannot be decoded ({reason}), expected a whole media file with {kind}, '
      'copy or download it again'
    ) from error


def check_file(path: Path) -> None:
  """Raises InputError unless `path` is a file with something in it."""
  if not path.exists():
    raise InputError(f'got {path}, expected a media file, but nothing is there; check the name')
  if not path.is_file():
    raise InputError(f'got {path}, expected a media file, but it is a folder; name a file in it')
  if path.stat().st_size == 0:
    raise InputError(f'got {path}, expected a media file, but it is empty; copy it again')


def origin(container) -> Fraction:
  """The time in seconds that counts as zero: where the earliest stream starts.

  Sound and picture of one file are read from the same zero, so they stay in sync even where one
  starts later. Negative starts are encoder priming, which decoders drop.
  """
  streams = [*container.streams.video[:1], *container.streams.audio[:1]]
  starts = [s.start_time * s.time_base for s in streams if s.start_time is not None]
  return max(min(starts, default=Fraction(0)), Fraction(0))


def new_mp4(path: Path, rate: int):
  """Opens an MP4 for writing with the index in front, and times kept to one sample of `rate`."""
  options = {'movflags': '+faststart', 'movie_timescale': str(rate)}
  return av.open(str(path), 'w', format='mp4', options=options)
