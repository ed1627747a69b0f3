"""Do lips and sound belong together? A judge in the form of SyncNet's, of blendshapes (method 5.3).

It sees five frames of the lips and jaw and hears the 0.2 s beside them, and has never seen a talker
of ours: it learnt from the truth of invented people and from tracked people of the GRID corpus
(Cooke et al. 2006, CC BY 4.0). `python -m experiments.sync_judge` makes its weights and prints what
it is worth on people whom it never saw.
"""

from pathlib import Path
from typing import Any, NamedTuple

import flax.traverse_util
import jax
import numpy as np

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.io import arrays
from gmtalker_jax.models.lip_sync import WINDOW, LipSync
from gmtalker_jax.types import Params

LIPS = np.array([
  i for i, name in enumerate(schema.EXPRESSION_NAMES) if name.startswith(('jaw', 'mouth'))
])  # fmt: skip
REACH = 15  # frames of shift either way, as SyncNet's
SHIFTS = np.arange(-REACH, REACH + 1)
_MOST_BYTES = 20_000_000
_FLOOR = 0.02  # a channel that hardly moves must not be blown up to unit variance


class Scale(NamedTuple):
  """What brings a clip to the form that the networks take."""

  lips: np.ndarray  # [L] standard deviation within a clip
  sound: np.ndarray  # [D]

  @classmethod
  def of(cls, clips: list[tuple[np.ndarray, np.ndarray]]) -> 'Scale':
    """From clips: (expression [T, E], speech [2T, D])."""
    lips, sound = ([pair[k] - pair[k].mean(0) for pair in clips] for k in (0, 1))
    spread = lambda parts: np.sqrt(np.mean(np.square(np.concatenate(parts)), 0))  # noqa: E731
    return cls(spread(lips)[LIPS] + _FLOOR, spread(sound) + _FLOOR)

  def apply(self, expression: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A clip [T, E], [2T, D] -> [T, L], [2T, D]: how a face rests and a microphone sounds is off.

    So a smile that stays is nothing to the judge, nor is a loud voice.
    """
    lips = np.asarray(expression, np.float32)[:, LIPS]
    rows = np.asarray(rows, np.float32)
    return (lips - lips.mean(0)) / self.lips, (rows - rows.mean(0)) / self.sound


class SyncJudge(NamedTuple):
  """Tells how well lips and sound agree."""

  params: Params
  scale: Scale
  encoder: str  # of the speech that it hears

  @property
  def module(self) -> LipSync:
    """Its networks."""
    return LipSync(width=self.params['lip_out']['bias'].shape[0])

  def agreement(self, expression: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Expression [T, E] beside speech [2T, D] -> cosines [T - 4, 31], by window and by SHIFTS.

    At a shift s the lips of the window t are compared with the sound of t + s: sound that is late
    by s frames agrees best there. Where there is no such sound it is NaN.

    Raises:
      InputError: fewer than WINDOW frames.
    """
    if len(expression) < WINDOW:
      raise InputError(f'got a clip of {len(expression)} frames, expected at least {WINDOW}')
    seen, heard = self.scale.apply(expression, rows[: 2 * len(expression)])
    variables = {'params': self.params}
    lips = np.asarray(self.module.apply(variables, seen[None], method='lips'))[0]
    sound = np.asarray(self.module.apply(variables, heard[None], method='sound'))[0]
    at = np.arange(len(lips))[:, None] + SHIFTS
    inside = (at >= 0) & (at < len(sound))
    cosines = np.einsum('td,tsd->ts', lips, sound[np.clip(at, 0, len(sound) - 1)])
    return np.where(inside, cosines, np.nan)


def place() -> Path:
  """The file of the weights."""
  return Path(__file__).with_name('sync_judge.npz')


def load(path: str | Path | None = None) -> SyncJudge:
  """The judge that comes with the package, or another. Raises InputError for a damaged file."""
  found = arrays.read(path or place(), _MOST_BYTES)
  scale = Scale(found.pop('scale_lips'), found.pop('scale_sound'))
  encoder = str(found.pop('encoder'))
  params = flax.traverse_util.unflatten_dict(
    {name: value.astype(np.float32) for name, value in found.items()}, sep='.'
  )
  judge = SyncJudge(params, scale, encoder)
  shapes = jax.eval_shape(
    judge.module.init, jax.random.key(0), *_blank(len(scale.lips), len(scale.sound))
  )['params']
  if jax.tree.map(np.shape, params) != jax.tree.map(np.shape, shapes):
    raise InputError(f'got {path or place()} with other arrays, expected those of a sync judge')
  return judge


def save(path: str | Path, judge: SyncJudge) -> None:
  """Writes a judge."""
  flat = flax.traverse_util.flatten_dict(judge.params, sep='.')
  found: dict[str, Any] = {name: np.asarray(value, np.float16) for name, value in flat.items()}
  found |= {f'scale_{n}': x.astype(np.float32) for n, x in judge.scale._asdict().items()}
  np.savez_compressed(path, **found, encoder=np.array(judge.encoder))


def _blank(lips: int, sound: int) -> tuple[np.ndarray, np.ndarray]:
  return np.zeros((1, WINDOW, lips), np.float32), np.zeros((1, 2 * WINDOW, sound), np.float32)
