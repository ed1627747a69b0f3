"""Is the mouth where the sound puts it? Beside the wrong sound, trivial faces and the truth."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gmtalker_jax import speech
from gmtalker_jax.data import schema
from gmtalker_jax.evaluation.metrics.metric import Metric
from gmtalker_jax.evaluation.performers import MEAN, SHUFFLED, TALKER, TRUTH, performances
from gmtalker_jax.evaluation.sample import Sample, ratio
from gmtalker_jax.evaluation.study import Records, Study, part
from gmtalker_jax.face.landmark_model import LandmarkModel
from gmtalker_jax.face.landmarks import INNER_LIPS, MIDDLE_LIPS, OUTER_LIPS
from gmtalker_jax.inference import speak, timeline

MOUTH = np.array(OUTER_LIPS + INNER_LIPS)
JAW_OPEN = schema.EXPRESSION_NAMES.index('jawOpen')
_ANY = ('records', 'portrait_records')  # labels are not needed


@part
def scores(study: Study) -> dict[str, dict[str, Sample]]:
  """By what is measured, then by who moves the face: the held-out clips."""
  model = LandmarkModel.of(study.talker.head)
  measured = {who: _measure(model, *shown) for who, shown in performances(study).items()}
  widest = max(gap.max() for gap in measured[TRUTH].gaps)
  found: dict[str, dict[str, Sample]] = {'mouth_lmd': {}, 'face_lmd': {}, 'closures': {}}
  for who, one in measured.items():
    found['mouth_lmd'][who] = Sample.of(one.clips, one.mouth)
    found['face_lmd'][who] = Sample.of(one.clips, one.face)
    closed = [closures(g, t, widest) for g, t in zip(one.gaps, one.true_gaps, strict=True)]
    found['closures'][who] = Sample.of(one.clips, closed)
  return found


def landmark_distance(predicted: np.ndarray, truth: np.ndarray) -> float:
  """LMD of [T, N, C] landmarks: each frame's mean is subtracted first (method 5.3)."""
  predicted = predicted - predicted.mean(-2, keepdims=True)
  truth = truth - truth.mean(-2, keepdims=True)
  return float(np.linalg.norm(predicted - truth, axis=-1).mean())


def lip_gap(landmarks: np.ndarray) -> np.ndarray:
  """Distance between the inner lips [T] of [T, 478, 3] landmarks."""
  upper, lower = MIDDLE_LIPS
  return np.linalg.norm(landmarks[:, upper] - landmarks[:, lower], axis=-1)


def closures(gap: np.ndarray, true: np.ndarray, widest: float) -> tuple[int, int]:
  """Truly closed frames in which `gap` is closed as well, one frame early or late; and all those.

  Closed is below 15 % of the widest gap that is seen.
  """
  limit = 0.15 * widest
  padded = np.pad(gap, 1, mode='edge')
  near = np.minimum(np.minimum(padded[:-2], padded[1:-1]), padded[2:])
  return int(((near < limit) & (true < limit)).sum()), int((true < limit).sum())


class _Measured(NamedTuple):
  """Of each clip."""

  clips: list[str]
  mouth: list[float]
  face: list[float]
  gaps: list[np.ndarray]
  true_gaps: list[np.ndarray]


def _measure(model: LandmarkModel, values: Sequence[np.ndarray], truths: Records) -> _Measured:
  found = _Measured([], [], [], [], [])
  for expression, record in zip(values, truths, strict=True):
    ours = model.place(expression, record['identity'])
    truth = model.place(record['expression'], record['identity'])
    found.clips.append(record['id'])
    found.mouth.append(landmark_distance(ours[:, MOUTH], truth[:, MOUTH]))
    found.face.append(landmark_distance(ours, truth))
    found.gaps.append(lip_gap(ours))
    found.true_gaps.append(lip_gap(truth))
  return found


def _relative(study: Study) -> dict[str, Sample]:
  """mouth_lmd of everybody beside that of the mean face."""
  lmd = scores(study)['mouth_lmd']
  still = lmd[MEAN].values
  return {who: Sample(one.clips, np.hstack([one.values, still])) for who, one in lmd.items()}


def _shuffled(study: Study) -> dict[str, Sample]:
  return {TALKER: _relative(study)[SHUFFLED]}


def _risen(study: Study) -> dict[str, Sample]:
  lmd = scores(study)['mouth_lmd']
  columns = [lmd[SHUFFLED].values, lmd[TALKER].values]
  return {TALKER: Sample(lmd[TALKER].clips, np.hstack(columns))}


def _silence_jaw_open(study: Study, seeds: int = 5) -> float:
  study.progress('silence')
  rows = speech.encode(np.zeros(schema.SAMPLE_RATE, np.float32), study.talker.speech_encoder)
  emotion = timeline.parse('neutral', 1.0, schema.FRAME_RATE)
  jaws = [
    speak.generate_expression(study.talker, rows, emotion, seed)[0][:, JAW_OPEN].mean()
    for seed in range(seeds)
  ]
  return float(np.mean(jaws))


METRICS = (
  Metric(
    name='mouth_lmd_ratio',
    samples=_relative,
    combine=ratio,
    hears=True,
    unit='ratio',
    better='lower',
    needs=_ANY,
    truth=0.0,
    baselines={'mean face': 1.0},
    definition='mouth_lmd of the talker / mouth_lmd of the mean face; 0 = truth, '
    '1 = no better than a face that never moves',
  ),
  Metric(
    name='mouth_lmd_ratio_shuffled',
    samples=_shuffled,
    combine=ratio,
    unit='ratio',
    better='higher',
    needs=_ANY,
    baselines={'mean face': 1.0},
    definition='mouth_lmd_ratio when the talker hears the sound of another clip, of the same '
    "emotion where there is one; without labelled clips: the clip's own sound, turned in time by a "
    'quarter, a half and three quarters of its length',
  ),
  Metric(
    name='mouth_lmd_shuffle_rise',
    samples=_risen,
    combine=lambda row: ratio(row) - 1,
    unit='ratio',
    better='higher',
    needs=_ANY,
    baselines={'mean face': 0.0},
    definition='mouth_lmd_ratio_shuffled / mouth_lmd_ratio - 1: how much worse the '
    'mouth gets with the wrong sound',
  ),
  Metric(
    name='mouth_lmd',
    samples=lambda study: scores(study)['mouth_lmd'],
    hears=True,
    unit='head widths',
    better='lower',
    needs=_ANY,
    truth=0.0,
    definition='mouth landmark distance to truth in head widths: 40 lip points of the head mesh in '
    'head space, their mean subtracted in each frame, Euclidean distance, mean over points, frames '
    'and clips (method 5.3; in 3D, so pose does not count)',
  ),
  Metric(
    name='face_lmd',
    samples=lambda study: scores(study)['face_lmd'],
    unit='head widths',
    better='lower',
    needs=_ANY,
    truth=0.0,
    definition='as mouth_lmd with all 478 landmarks',
  ),
  Metric(
    name='lip_closure_recall',
    samples=lambda study: scores(study)['closures'],
    combine=ratio,
    hears=True,
    unit='share',
    better='higher',
    needs=_ANY,
    truth=1.0,
    definition='of the frames with truly closed lips (gap below 15 % of the widest in the '
    'clips), the share in which the talker closes them too, within one frame',
  ),
  Metric(
    name='silence_jaw_open',
    compute=_silence_jaw_open,
    unit='blendshape weight',
    better='lower',
    needs=_ANY,
    truth=0.0,
    definition='mean jawOpen while the talker, neutral, hears one second of silence',
  ),
)
