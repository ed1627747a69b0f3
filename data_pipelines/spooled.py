"""A clip between ingestion and its record: coefficients in NAME.npz, photographs in NAME.jpegs."""

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gmtalker_jax.face.morphable import Head
from gmtalker_jax.face.person import Person
from gmtalker_jax.types import Coefficients

from . import likeness
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
      lengths.append(blob.write(jpeg(picture)))

    yield keep
  rest = {name: value for name, value in record.items() if name not in ('frames', 'renderings')}
  np.savez(_npz(path), **rest, jpeg_lengths=np.array(lengths, np.int64), size=size)


def jpeg(picture: np.ndarray) -> bytes:
  """Encodes a photograph uint8 [H, W, 3]."""
  ok, encoded = cv2.imencode('.jpg', picture[..., ::-1], _JPEG)
  assert ok
  return encoded.tobytes()


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


def person(
  head: Head, parts: Sequence[tuple[Path, slice]], displacement: np.ndarray | None = None
) -> Person | None:
  """The person of clips, of each of which some frames are looked at; None without photographs."""
  seen = shots(parts, likeness.SHOTS)
  if not seen:
    return None
  return likeness.fit(head, np.mean([shot.identity for shot in seen], 0), seen, displacement)


def shots(parts: Sequence[tuple[Path, slice]], count: int) -> list[Shot]:
  """At most `count` tracked frames with photographs, spread evenly over parts of clips."""
  pictured = [(path, frames) for path, frames in parts if _jpegs(path).stat().st_size]
  places = [(i, at) for i, part in enumerate(pictured) for at in _tracked(*part)]
  if not places:
    return []
  chosen = [places[k] for k in np.unique(np.linspace(0, len(places) - 1, count).astype(int))]
  found: list[Shot] = []
  for i, (path, _) in enumerate(pictured):
    mine = [at for part, at in chosen if part == i]
    record = read(path)[0] if mine else {}
    found += [_shot(record, at) for at in mine]
  return found


def _shot(record: Mapping[str, Any], at: int) -> Shot:
  picture = cv2.imdecode(np.frombuffer(record['frames'][at], np.uint8), cv2.IMREAD_COLOR)
  assert picture is not None, 'it was written a moment ago'
  coefficients = Coefficients(record['expression'][at], record['motion'][at])
  return Shot(np.ascontiguousarray(picture[..., ::-1]), coefficients, record['identity'])


def _tracked(path: Path, frames: slice) -> np.ndarray:
  with np.load(_npz(path), allow_pickle=False) as file:
    valid = file['valid'] > 0
  among = np.arange(len(valid))[frames]
  return among[valid[among]]


def _npz(path: Path) -> Path:
  return path.with_name(f'{path.name}.npz')  # a clip's id may have dots


def _jpegs(path: Path) -> Path:
  return path.with_name(f'{path.name}.jpegs')
