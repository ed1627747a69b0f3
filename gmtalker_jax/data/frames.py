"""Single frames of clips as items: one photograph and its rendering are decoded when asked for."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import source
from gmtalker_jax.data.batches import Items
from gmtalker_jax.data.latent import Normal

Frame = Mapping[str, Any]
_KEPT = ('id', 'emotion', 'level')  # fields of a clip that its frames carry


class Frames:
  """Every tracked frame of some clips; an item is one frame.

  An item has `photograph` and `rendering` (uint8 [H, W, 3]), `latent` (the `Normal` [Z] of
  z_gm), and the clip's `id`, `emotion` and `level`. Memory holds two numbers a frame and one
  `Normal` a clip, besides what `clips` keeps.
  """

  def __init__(self, clips: Items, tracked: Mapping[int, np.ndarray], latents: Normal):
    """Args:

    clips: records with encoded pictures, see `source.Source`.
    tracked: number of a clip -> the frames of it that count.
    latents: q(z | clip) [N, Z] of these clips, in the order of `tracked`.
    """  # fmt: skip
    self._clips, self._latents = clips, latents
    self._places = np.concatenate(
      [np.empty((0, 3), np.int32)]
      + [
        np.stack([np.full(len(frames), row), np.full(len(frames), clip), frames], 1)
        for row, (clip, frames) in enumerate(tracked.items())
      ]
    ).astype(np.int32)

  def __len__(self) -> int:
    return len(self._places)

  def __getitem__(self, index: int) -> Frame:
    row, clip, frame = self._places[index]
    record = self._clips[int(clip)]
    if not len(record['frames']):
      raise InputError(
        f'got record {record["id"]!r} without frames, expected photographs; prepare with frames'
      )
    return {
      'photograph': source.decode(record['frames'][frame]),
      'rendering': source.decode(record['renderings'][frame]),
      'latent': Normal(*(moment[row] for moment in self._latents)),
      **{name: record[name] for name in _KEPT},
    }


def tracked(record: Mapping[str, Any]) -> np.ndarray:
  """Numbers of the frames whose face was tracked."""
  return np.flatnonzero(np.asarray(record['valid']) > 0)
