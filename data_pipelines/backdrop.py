"""Tells a person from what is behind them by colour: ears of a model are never quite theirs."""

from collections.abc import Sequence

import cv2
import numpy as np

_LEVELS = 16  # of a channel
_INSIDE, _OUTSIDE = 0.04, 0.10  # of the picture: from the outline, where there is no doubt
_RARE = 2e-5  # share of the pixels: a colour so seldom on a person is a mixture at the outline
_FAVOUR = 10.0  # grey hair before a grey wall is hair


def credibility(
  pictures: Sequence[np.ndarray], masks: Sequence[np.ndarray], upper: float = 1.0
) -> np.ndarray:
  """How likely a colour is the person's: [16, 16, 16] 0..1, by sixteenths of red, green, blue.

  Args:
    pictures: uint8 [S, S, 3].
    masks: bool [S, S], where the fitted head lies.
    upper: share of its rows, from the top, whose colours are the person's.

  Hair that rises above the head does not count as background, nor do clothes below it.
  """
  counts = np.zeros((2, _LEVELS**3))
  for picture, mask in zip(pictures, masks, strict=True):
    size = len(mask)
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5) / size
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) / size
    rows = np.flatnonzero(mask.any(1)) if mask.any() else np.zeros(1)
    middle, lowest = np.quantile(rows, (0.5, upper))
    at = np.arange(size)[:, None]
    regions = (inside > _INSIDE) & (at <= lowest), (outside > _OUTSIDE) & (at < middle)
    for row, region in enumerate(regions):
      share = np.bincount(_bin(picture[region]), minlength=_LEVELS**3)
      counts[row] += share / max(share.sum(), 1) / len(masks)
  person, behind = (_blur(row.reshape((_LEVELS,) * 3)) for row in counts)
  return (person / (person + behind / _FAVOUR + _RARE)).astype(np.float32)


def judge(table: np.ndarray, colours: np.ndarray) -> np.ndarray:
  """Values [...] of `credibility` of colours [..., 3] 0..1."""
  return table.ravel()[_bin(np.clip(colours * 255, 0, 255))]


def _bin(colours: np.ndarray) -> np.ndarray:
  levels = np.asarray(colours).astype(np.int32) // (256 // _LEVELS)
  return (levels[..., 0] * _LEVELS + levels[..., 1]) * _LEVELS + levels[..., 2]


def _blur(histogram: np.ndarray) -> np.ndarray:
  for axis in range(3):
    padded = np.pad(histogram, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode='edge')
    low, middle, high = (np.take(padded, range(k, k + _LEVELS), axis) for k in range(3))
    histogram = 0.25 * low + 0.5 * middle + 0.25 * high
  return histogram
