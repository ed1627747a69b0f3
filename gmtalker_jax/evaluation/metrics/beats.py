"""Does the head move with the beat of the speech? The beat alignment of Bailando and SadTalker."""

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import argrelextrema

from gmtalker_jax.data import schema
from gmtalker_jax.evaluation.metrics import motion
from gmtalker_jax.evaluation.metrics.metric import Metric
from gmtalker_jax.evaluation.performers import SHUFFLED, TALKER, TRUTH
from gmtalker_jax.evaluation.sample import Sample
from gmtalker_jax.evaluation.study import Study, part

_WIDTH = 3.0  # frames: how near is near (Bailando)
_SMOOTH = 1.5  # frames
_POSE = slice(schema.ROTATION.start, schema.TRANSLATION.stop)


def sound_beats(rows: np.ndarray) -> np.ndarray:
  """Frames in which speech features [2T, D] change most: peaks of their flux."""
  frames = np.asarray(rows, np.float64).reshape(len(rows) // 2, 2, -1).mean(1)
  flux = np.linalg.norm(np.diff(frames, axis=0, prepend=frames[:1]), axis=1)
  return _extrema(flux, np.greater)


def motion_beats(moved: np.ndarray) -> np.ndarray:
  """Frames in which a head [T, 6] in standard deviations rests: dips of its speed."""
  return _extrema(np.linalg.norm(np.gradient(moved, axis=0), axis=1), np.less)


def alignment(beats: np.ndarray, heard: np.ndarray) -> float:
  """Mean over the beats of a motion of exp(-d^2 / 2 w^2), d to the nearest of the sound; 0..1."""
  if not len(beats) or not len(heard):
    return 0.0
  nearest = np.abs(beats[:, None] - heard[None]).min(1)
  return float(np.exp(-(nearest**2) / (2 * _WIDTH**2)).mean())


def _extrema(curve: np.ndarray, compare) -> np.ndarray:
  return argrelextrema(gaussian_filter1d(curve, _SMOOTH), compare)[0]


@part
def scores(study: Study) -> dict[str, Sample]:
  """Of the talker, of the talker beside the sound of another clip, and of people."""
  standardise = study.talker.motion.statistics.motion.normalize
  records = {record['id']: record for record in study.moving}
  heard = {clip: sound_beats(record['speech']) for clip, record in records.items()}
  names, found = list(records), {TALKER: [], SHUFFLED: [], TRUTH: []}
  for clip, seeds in motion.spoken(study):
    other = heard[names[(names.index(clip) + 1) % len(names)]]
    for moved in seeds:
      beats = motion_beats(standardise(moved)[:, _POSE])
      found[TALKER].append((clip, alignment(beats, heard[clip])))
      found[SHUFFLED].append((clip, alignment(beats[beats < other.max(initial=0)], other)))
  for clip, record in records.items():
    beats = motion_beats(standardise(record['motion'])[:, _POSE])
    found[TRUTH].append((clip, alignment(beats, heard[clip])))
  return {who: Sample.of(*zip(*rows, strict=True)) for who, rows in found.items()}


METRICS = (
  Metric(
    name='beat_alignment',
    samples=scores,
    unit='score',
    better='higher',
    definition='mean over the dips of head speed of exp(-d^2 / 18), d = frames to the nearest peak '
    'of the flux of the speech features, 0..1 (Beat Align of Bailando; rows: the same motion '
    "beside another clip's sound is chance)",
  ),
)
