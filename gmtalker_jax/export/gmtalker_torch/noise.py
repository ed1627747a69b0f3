"""The random numbers of the original: counter-based (Threefry-2x32), so that a seed means a talk.

A key is two 32-bit words [..., 2]. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
2011. NumPy does the bits, since PyTorch has no unsigned arithmetic on them.
"""

import math
import zlib

import numpy as np
import torch
from torch import Tensor

_ROTATIONS = (13, 15, 26, 6), (17, 29, 16, 24)
_PARITY = np.uint32(0x1BD11BDA)


def key_for(seed: int, name: str, step: int = 0) -> np.ndarray:
  """The key of `name` at `step`: different names give independent streams."""
  key = np.array([0, seed & 0xFFFFFFFF], np.uint32)
  return fold_in(fold_in(key, zlib.crc32(name.encode())), step)


def fold_in(key: np.ndarray, data: int | np.ndarray) -> np.ndarray:
  """A new key from keys [..., 2] and numbers [...]."""
  data = np.asarray(data, np.uint32)
  return np.stack(_threefry(key, np.zeros_like(data), data), -1)


def split(key: np.ndarray, count: int) -> np.ndarray:
  """`count` keys [count, 2] from one."""
  return fold_in(key, np.arange(count))


def normal(key: np.ndarray, shape: tuple[int, ...]) -> Tensor:
  """Standard normal numbers [..., *shape] from keys [..., 2]."""
  low = np.nextafter(np.float32(-1), np.float32(0))
  return math.sqrt(2) * torch.erfinv(torch.from_numpy(_uniform(key, shape, low, np.float32(1))))


def row_normal(key: np.ndarray, shape: tuple[int, ...], rows: int = 1) -> Tensor:
  """As `normal`, but each of the first `rows` axes has keys of its own.

  So longer batches and longer clips keep the numbers of the shorter ones.
  """
  return normal(_row_keys(key, shape[:rows]), shape[rows:])


def row_uniform(key: np.ndarray, shape: tuple[int, int], low: float, high: float) -> Tensor:
  """Numbers [B, N] between `low` and `high`; each row has a key of its own."""
  keys = _row_keys(key, shape[:1])
  return torch.from_numpy(_uniform(keys, shape[1:], np.float32(low), np.float32(high)))


def _row_keys(key: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
  for size in shape:
    key = fold_in(key[..., None, :], np.arange(size))
  return key


def _uniform(
  key: np.ndarray, shape: tuple[int, ...], low: np.float32, high: np.float32
) -> np.ndarray:
  count = np.arange(math.prod(shape), dtype=np.uint32)
  one, two = _threefry(key[..., None, :], np.zeros_like(count), count)
  # 23 random bits behind the exponent of 1: a number from 1 to 2.
  unit = ((one ^ two) >> np.uint32(9) | np.uint32(0x3F800000)).view(np.float32) - np.float32(1)
  return np.maximum(low, unit * (high - low) + low).reshape(*key.shape[:-1], *shape)


def _threefry(key: np.ndarray, one: np.ndarray, two: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  keys = key[..., 0], key[..., 1], key[..., 0] ^ key[..., 1] ^ _PARITY
  with np.errstate(over='ignore'):  # sums are meant modulo 2^32
    one, two = one + keys[0], two + keys[1]
    for i in range(5):
      for turn in _ROTATIONS[i % 2]:
        one = one + two
        two = (two << np.uint32(turn) | two >> np.uint32(32 - turn)) ^ one
      one = one + keys[(i + 1) % 3]
      two = two + keys[(i + 2) % 3] + np.uint32(i + 1)
  return one, two
