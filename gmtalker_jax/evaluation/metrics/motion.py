"""Do heads move as differently as real ones? Many seeds for one sound against many people."""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gmtalker_jax.data import schema
from gmtalker_jax.evaluation.metrics.metric import Metric
from gmtalker_jax.evaluation.performers import TALKER
from gmtalker_jax.evaluation.sample import Sample
from gmtalker_jax.evaluation.study import Record, Study, part
from gmtalker_jax.inference import speak

_GROUPS = {'pose': slice(0, 6), 'blink': schema.BLINK, 'gaze': schema.GAZE}


class Motions(NamedTuple):
  """Head motion [T, M] in standard deviations of the training data."""

  generated: list[list[np.ndarray]]  # for each sound, one per seed
  truth: list[np.ndarray]


@part
def spoken(study: Study, sounds: int = 6) -> list[tuple[str, list[np.ndarray]]]:
  """For a few of the sounds (clip id) motion [T, M], one per seed."""
  study.progress('motion')
  heard = study.moving[:: max(1, len(study.moving) // sounds)][:sounds]
  seeds = range(study.protocol.seeds)

  def speak_once(record: Record, seed: int) -> np.ndarray:
    return speak.generate_motion(study.talker, np.asarray(record['speech'], np.float32), seed)

  return [(r['id'], [speak_once(r, seed) for seed in seeds]) for r in heard]


@part
def motions(study: Study) -> Motions:
  """What the seeds do with a few of the sounds, and what people did."""
  standardise = study.talker.motion.statistics.motion.normalize
  generated = [[standardise(m) for m in seeds] for _, seeds in spoken(study)]
  return Motions(generated, [standardise(r['motion']) for r in study.moving])


def pairwise_distance(samples: list[np.ndarray]) -> float:
  """Mean distance over all pairs of [T, M] sequences (cut to the shorter), RMS over channels."""
  distances = []
  for a, b in itertools.combinations(samples, 2):
    frames = min(len(a), len(b))
    distances.append(np.sqrt(((a[:frames] - b[:frames]) ** 2).mean(-1)).mean())
  return float(np.mean(distances))


def _diversity(channels: slice) -> Callable[[Study], dict[str, Sample]]:
  """Of the talker, for each sound; what people differ by is one number for all of them."""

  def ratios(study: Study) -> dict[str, Sample]:
    generated, truth = motions(study)
    apart = pairwise_distance([m[:, channels] for m in truth])
    ours = [pairwise_distance([m[:, channels] for m in seeds]) / apart for seeds in generated]
    return {TALKER: Sample.of([clip for clip, _ in spoken(study)], ours)}

  return ratios


def _entry(name: str, channels: slice, definition: str) -> Metric:
  return Metric(
    name=name,
    samples=_diversity(channels),
    unit='ratio',
    better=(0.5, 1.5),
    truth=1.0,
    baselines={'always the mean': 0.0},
    definition=definition,
  )


METRICS = (
  _entry(
    'motion_diversity_ratio',
    slice(None),
    'mean pairwise distance of the head motions of different seeds for one '
    'sound / the same among true clips; motion in standard deviations of the training data, '
    'root mean square over channels, mean over frames; the interval is over sounds',
  ),
  *(
    _entry(f'motion_diversity_ratio_{group}', channels, f'motion_diversity_ratio of {group} alone')
    for group, channels in _GROUPS.items()
  ),
)
