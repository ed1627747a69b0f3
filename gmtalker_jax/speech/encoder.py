"""What an encoder is."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gmtalker_jax.data import schema

HOP = schema.SAMPLES_PER_FRAME // schema.SPEECH_PER_FRAME  # 320 samples a row
ROWS_AT_ONCE = 2048  # bounds the memory of an encoder: 41 s of sound


class Encoder(NamedTuple):
  """Sound to features.

  `encode` turns samples [S] at 16 kHz into rows [2T, dimension] float32, T = ceil(S / 640). Row r
  depends on no sample from 320 (r + 1) + 16 `look_ahead_ms` on; infinity: on all of them.
  `digest` changes when the numbers that come out would; it may read a network to know.
  """

  name: str
  dimension: int
  look_ahead_ms: float
  digest: Callable[[], str]
  encode: Callable[[np.ndarray], np.ndarray]

  @property
  def identity(self) -> str:
    """Name and digest: what records and talkers keep."""
    return f'{self.name}@{self.digest()}'


def digest(*definition: str | int | float) -> str:
  """Eight hexadecimal digits that stand for a definition: words, constants, other digests."""
  return hashlib.sha256(repr(definition).encode()).hexdigest()[:8]


def row_count(samples: int) -> int:
  """Rows of a sound of `samples` samples: 2 ceil(samples / 640)."""
  return schema.SPEECH_PER_FRAME * schema.frame_count(samples)
