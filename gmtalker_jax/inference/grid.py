"""Several talks side by side in one video, each with its name."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_LABEL = 22  # pixels of text for a cell of 256


def tile(talks: Mapping[str, Iterator[np.ndarray]]) -> Iterator[np.ndarray]:
  """Puts streams of uint8 [H, W, 3] frames into one, row by row, `columns(n)` in a row.

  Ends with the shortest stream. Cells that are left over stay black.
  """
  labels = list(talks)
  wide = columns(len(labels))
  for frames in zip(*talks.values(), strict=False):
    cells = [label_cell(f, name) for f, name in zip(frames, labels, strict=True)]
    cells += [np.zeros_like(cells[0])] * (-len(cells) % wide)
    rows = [np.concatenate(cells[i : i + wide], 1) for i in range(0, len(cells), wide)]
    yield np.concatenate(rows, 0)


def columns(count: int) -> int:
  """Cells in a row: about twice as wide as high."""
  return math.ceil(math.sqrt(2 * count))


def label_cell(frame: np.ndarray, text: str) -> np.ndarray:
  """Writes `text` into the lower left corner, readable on any picture."""
  image = Image.fromarray(frame)
  size = max(8, round(_LABEL * frame.shape[0] / 256))
  ImageDraw.Draw(image).text(
    (size // 2, frame.shape[0] - size * 3 // 2),
    text,
    fill=(255, 255, 255),
    stroke_fill=(0, 0, 0),
    stroke_width=max(1, size // 9),
    font=ImageFont.load_default(size),
  )
  return np.asarray(image)
