"""A picture to judge a fit by: frames of every clip, with the fitted head over them.

It shows people: it is for the eyes of whoever prepared the clips, and never for a repository.
"""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from gmtalker_jax.face import landmarks as names
from gmtalker_jax.io import files

CELL = 192  # pixels of one frame
FRAMES = 4  # frames of a clip
MOST = 48  # clips on a sheet
_LABEL = 22
_ACROSS = 2  # clips side by side
_LINES = (  # landmarks, colour
  ((*names.OUTER_LIPS, names.OUTER_LIPS[0]), (80, 220, 255)),
  ((*names.INNER_LIPS, names.INNER_LIPS[0]), (255, 90, 90)),
  *(((*ring, ring[0]), (90, 255, 120)) for ring in names.EYELIDS),
  *(((*rim, rim[0]), (255, 255, 80)) for _, *rim in names.IRISES),
  *((upper, (90, 255, 120)) for _, upper in names.BROWS),
  (names.NOSE, (90, 255, 120)),
)


class Strip(NamedTuple):
  """One clip on the sheet.

  pictures and renderings are uint8 [FRAMES, CELL, CELL, 3]; landmarks [FRAMES, 478, 2] are the
  fitted head's in crop units (x right, y up, from the middle).
  """

  label: str
  pictures: np.ndarray
  renderings: np.ndarray
  landmarks: np.ndarray


class Sheet:
  """Collects the first MOST strips; of later ones it only counts how many there were."""

  def __init__(self):
    """An empty sheet."""
    self._strips: list[Strip] = []
    self._more = 0

  def add(self, strip: Strip) -> None:
    """Adds a strip at the end."""
    if len(self._strips) < MOST:
      self._strips.append(strip)
    else:
      self._more += 1

  def save(self, path: Path) -> None:
    """Writes the sheet as a JPEG, whole or not at all; writes nothing where nothing was added."""
    if not self._strips:
      return
    sheet = draw(self._strips)
    if self._more:
      banner = np.zeros((_LABEL, sheet.shape[1], 3), np.uint8)
      _write(banner, f'... and {self._more} more clips')
      sheet = np.concatenate([sheet, banner])
    ok, blob = cv2.imencode('.jpg', sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert ok
    files.write_bytes(path, blob.tobytes())


def choose(frames: int) -> list[int]:
  """The frames of a clip that are shown."""
  return np.linspace(0.08 * frames, 0.92 * frames - 1, FRAMES).round().clip(0).astype(int).tolist()


def draw(strips: list[Strip]) -> np.ndarray:
  """The sheet, uint8 [H, W, 3]: per clip its label, the frames with lines, and the head on them."""
  cells = [_strip(strip) for strip in strips]
  blank = np.zeros_like(cells[0])
  cells += [blank] * (-len(cells) % _ACROSS)
  rows = [np.concatenate(cells[i : i + _ACROSS], 1) for i in range(0, len(cells), _ACROSS)]
  return np.concatenate(rows)


def _strip(strip: Strip) -> np.ndarray:
  label = np.full((_LABEL, FRAMES * CELL, 3), 24, np.uint8)
  _write(label, strip.label)
  lined = [_lines(p, points) for p, points in zip(strip.pictures, strip.landmarks, strict=True)]
  blended = [_blend(p, r) for p, r in zip(strip.pictures, strip.renderings, strict=True)]
  rows = [label, np.concatenate(lined, 1), np.concatenate(blended, 1)]
  strip_picture = np.concatenate(rows)
  strip_picture[:, -2:] = 0
  return strip_picture


def _lines(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
  picture = picture.copy()
  pixels = (points * [1, -1] + 0.5) * CELL
  for indices, colour in _LINES:
    fixed = np.round(pixels[list(indices)] * 16).astype(np.int32)[:, None]
    cv2.polylines(picture, [fixed], False, colour, 1, cv2.LINE_AA, shift=4)
  return picture


def _blend(picture: np.ndarray, rendering: np.ndarray) -> np.ndarray:
  """The head over the picture: see-through, so that edges of both can be compared."""
  mask = (rendering.max(-1, keepdims=True) > 0) * 0.55
  return (picture * (1 - mask) + rendering * mask).astype(np.uint8)


def _write(picture: np.ndarray, text: str) -> None:
  text = text.encode('ascii', 'replace').decode()
  font = cv2.FONT_HERSHEY_SIMPLEX
  cv2.putText(picture, text, (6, _LABEL - 7), font, 0.42, (235, 235, 235), 1, cv2.LINE_AA)
