"""A clip between ingestion and its record: coefficients in NAME.npz, photographs in NAME.jpegs."""

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gmtalker_jax.types import Coefficients

from .likeness import Shot

_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95]


@contextlib.contextmanager
def writing(
  path: Path, record: Mapping[str, Any], size: int
) -> Generator[Callable[[np.ndarray], None], None, None]:
  """Yields a function that takes the photographs, uint8 [size, size, 3]; then writes the record.

  Args:
    path: without a suffix.
    record: as schema.RECORD.
    size: pixels of the photographs; 0 = there are none.
  """
  lengths: list[int] = []
  with _jpegs(path).open('wb') as blob:

    def keep(picture: np.ndarray) -> None:
      ok, jpeg = cv2.imencode('.jpg', picture[..., ::-1], _JPEG)
      assert ok
      lengths.append(blob.write(jpeg.tobytes()))

    yield keep
  rest = {name: value for name, value in record.items() if name not in ('frames', 'renderings')}
  np.savez(_npz(path), **rest, jpeg_lengths=np.array(lengths, np.int64), size=size)


def read(path: Path) -> tuple[dict[str, Any], int]:
  """The record of a clip, with photographs and without renderings, and their size in pixels."""
  with np.load(_npz(path), allow_pickle=False) as file:
    record = {name: file[name] for name in file.files}
  lengths, size = record.pop('jpeg_lengths'), int(record.pop('size'))
  record = {k: v.item() if v.ndim == 0 and v.dtype.kind == 'U' else v for k, v in record.items()}
  blob = _jpegs(path).read_bytes()
  ends = np.cumsum(lengths)
  record['frames'] = [blob[e - n : e] for e, n in zip(ends, lengths, strict=True)]
  return record, size


def shots(paths: Sequence[Path], count: int) -> list[Shot]:
  """At most `count` tracked frames with photographs, spread evenly over the clips at `paths`."""
  with_pictures = [p for p in paths if _jpegs(p).stat().st_size]
  tracked = [_tracked(path) for path in with_pictures]
  places = [(i, at) for i, frames in enumerate(tracked) for at in frames]
  if not places:
    return []
  chosen = [places[k] for k in np.unique(np.linspace(0, len(places) - 1, count).astype(int))]
  found: list[Shot] = []
  for i, path in enumerate(with_pictures):
    record, _ = read(path)
    found += [_shot(record, at) for clip, at in chosen if clip == i]
  return found


def _shot(record: Mapping[str, Any], at: int) -> Shot:
  picture = cv2.imdecode(np.frombuffer(record['frames'][at], np.uint8), cv2.IMREAD_COLOR)
  assert picture is not None, 'it was written a moment ago'
  coefficients = Coefficients(record['expression'][at], record['motion'][at])
  return Shot(np.ascontiguousarray(picture[..., ::-1]), coefficients, record['identity'])


def _tracked(path: Path) -> np.ndarray:
  with np.load(_npz(path), allow_pickle=False) as file:
    return np.flatnonzero(file['valid'] > 0)


def _npz(path: Path) -> Path:
  return path.with_name(f'{path.name}.npz')  # a clip's id may have dots


def _jpegs(path: Path) -> Path:
  return path.with_name(f'{path.name}.jpegs')
