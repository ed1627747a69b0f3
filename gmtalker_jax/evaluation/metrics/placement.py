"""Is the painter given what it was trained on? Where the head is when speaking, and where it was.

A painter knows the places of a head that it has seen. Held-out frames of the same film are always
among them; generated motion need not be: once it put a head that was filmed from near far away.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from gmtalker_jax.data import schema
from gmtalker_jax.evaluation.metrics.metric import Metric
from gmtalker_jax.evaluation.study import Record, Study, part
from gmtalker_jax.inference import speak

_POSE = slice(schema.ROTATION.start, schema.TRANSLATION.stop)
_MARGIN = 1.0  # standard deviations of the training frames, beyond their lowest and highest
_SEEDS = 4


class Places(NamedTuple):
  """Poses [N, 6] of a head: rad, head widths."""

  trained: np.ndarray
  spoken: np.ndarray
  recorded: np.ndarray  # held out


@part
def places(study: Study) -> Places:
  """Of the training frames, of what is spoken to the held-out sounds, of the held-out frames."""
  study.progress('placement of the head')
  train, test = study.own
  rest = study.talker.motion.statistics.motion.mean
  rows = [np.asarray(record['speech'], np.float32) for record in test]
  spoken = [
    speak.shape_motion(speak.generate_motion(study.talker, sound, seed), rest)
    for sound in rows
    for seed in range(_SEEDS)
  ]
  return Places(_tracked(train), np.concatenate(spoken)[:, _POSE], _tracked(test))


def within(trained: np.ndarray, asked: np.ndarray) -> float:
  """Share of the poses [N, 6] that lie in the box of the poses [M, 6] trained on, and a little."""
  room = _MARGIN * trained.std(0)
  inside = (asked >= trained.min(0) - room) & (asked <= trained.max(0) + room)
  return float(inside.all(-1).mean())


def _tracked(records: Iterable[Record]) -> np.ndarray:
  return np.concatenate([record['motion'][record['valid'] > 0, _POSE] for record in records])


METRICS = (
  Metric(
    name='placement_within',
    compute=lambda study: within(places(study).trained, places(study).spoken),
    unit='share',
    better='higher',
    truth='placement_within_truth',
    needs=('portrait_records',),
    definition=f'share of the frames spoken to the held-out sounds with {_SEEDS} seeds in which '
    'the head is where the painter has seen it: each angle and place between the lowest and the '
    "highest of the person's training frames, and a standard deviation beyond",
  ),
  Metric(
    name='placement_within_truth',
    compute=lambda study: within(places(study).trained, places(study).recorded),
    unit='share',
    better='higher',
    needs=('portrait_records',),
    definition='the same of the held-out frames themselves',
  ),
)
