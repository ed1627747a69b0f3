"""Is the mouth where the sound puts it? Beside the wrong sound, trivial faces and the truth."""

from collections.abc import Callable

import numpy as np

from gmtalker_jax import speech
from gmtalker_jax.data import schema
from gmtalker_jax.evaluation import baselines
from gmtalker_jax.evaluation.metrics.metric import Metric
from gmtalker_jax.evaluation.study import Records, Study, part
from gmtalker_jax.face.landmark_model import LandmarkModel
from gmtalker_jax.face.landmarks import INNER_LIPS, MIDDLE_LIPS, OUTER_LIPS
from gmtalker_jax.inference import speak, timeline

MOUTH = np.array(OUTER_LIPS + INNER_LIPS)
JAW_OPEN = schema.EXPRESSION_NAMES.index('jawOpen')
_SHUFFLED = 'talker, shuffled sound'


@part
def scores(study: Study) -> dict[str, dict[str, float]]:
  """By who moves the face: mouth_lmd, face_lmd and lip_closure_recall over the held-out clips."""
  study.progress('expression')
  train, test = study.train, study.test
  others = [test[_partner(test, i)] for i in range(len(test))]
  ridge, mean = baselines.Ridge(train), baselines.mean_face(train)
  candidates = {
    'talker': study.generated,
    _SHUFFLED: [
      study.express(r, _fitted(o['speech'], len(r['speech'])), i)
      for i, (r, o) in enumerate(zip(test, others, strict=True))
    ],
    'ridge regression': [ridge.predict(r['speech']) for r in test],
    'mean face': [np.broadcast_to(mean, r['expression'].shape) for r in test],
    'truth': [r['expression'] for r in test],
  }
  model = LandmarkModel.of(study.talker.head)
  return {name: _distances(model, values, test) for name, values in candidates.items()}


def landmark_distance(predicted: np.ndarray, truth: np.ndarray) -> float:
  """LMD of [T, N, C] landmarks: each frame's mean is subtracted first (method 5.3)."""
  predicted = predicted - predicted.mean(-2, keepdims=True)
  truth = truth - truth.mean(-2, keepdims=True)
  return float(np.linalg.norm(predicted - truth, axis=-1).mean())


def lip_gap(landmarks: np.ndarray) -> np.ndarray:
  """Distance between the inner lips [T] of [T, 478, 3] landmarks."""
  upper, lower = MIDDLE_LIPS
  return np.linalg.norm(landmarks[:, upper] - landmarks[:, lower], axis=-1)


def closure_recall(gaps: list[np.ndarray], true_gaps: list[np.ndarray]) -> float:
  """Share of truly closed frames in which `gaps` is closed as well, one frame early or late."""
  limit = 0.15 * max(g.max() for g in true_gaps)
  hits, total = 0, 0
  for gap, true in zip(gaps, true_gaps, strict=True):
    padded = np.pad(gap, 1, mode='edge')
    near = np.minimum(np.minimum(padded[:-2], padded[1:-1]), padded[2:])
    hits += int(((near < limit) & (true < limit)).sum())
    total += int((true < limit).sum())
  return hits / total if total else float('nan')


def _partner(test: Records, i: int) -> int:
  """Another clip, of the same emotion where there is one: only the sound should be wrong."""
  same = [j for j, r in enumerate(test) if r['emotion'] == test[i]['emotion'] and j != i]
  return same[i % len(same)] if same else (i + 1) % len(test)


def _fitted(rows: np.ndarray, length: int) -> np.ndarray:
  return np.resize(rows, (length, rows.shape[1])) if len(rows) < length else rows[:length]


def _distances(model: LandmarkModel, values: list[np.ndarray], test: Records) -> dict[str, float]:
  mouth, face, gaps, true_gaps = [], [], [], []
  for expression, record in zip(values, test, strict=True):
    ours = model.place(expression, record['identity'])
    truth = model.place(record['expression'], record['identity'])
    mouth.append(landmark_distance(ours[:, MOUTH], truth[:, MOUTH]))
    face.append(landmark_distance(ours, truth))
    gaps.append(lip_gap(ours))
    true_gaps.append(lip_gap(truth))
  return {
    'mouth_lmd': float(np.mean(mouth)),
    'face_lmd': float(np.mean(face)),
    'lip_closure_recall': closure_recall(gaps, true_gaps),
  }


def _scored(key: str) -> Callable[[Study], float]:
  return lambda study: scores(study)['talker'][key]


def _ratio(who: str) -> Callable[[Study], float]:
  return lambda study: scores(study)[who]['mouth_lmd'] / scores(study)['mean face']['mouth_lmd']


def _shuffle_rise(study: Study) -> float:
  return _ratio(_SHUFFLED)(study) / max(_ratio('talker')(study), 1e-9) - 1


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
    compute=_ratio('talker'),
    unit='ratio',
    better='lower',
    truth=0.0,
    baselines={'mean face': 1.0},
    definition='mouth_lmd of the talker / mouth_lmd of the mean face; 0 = truth, '
    '1 = no better than a face that never moves',
  ),
  Metric(
    name='mouth_lmd_ratio_shuffled',
    compute=_ratio(_SHUFFLED),
    unit='ratio',
    better='higher',
    baselines={'mean face': 1.0},
    definition='mouth_lmd_ratio when the talker hears the sound of another clip',
  ),
  Metric(
    name='mouth_lmd_shuffle_rise',
    compute=_shuffle_rise,
    unit='ratio',
    better='higher',
    baselines={'mean face': 0.0},
    definition='mouth_lmd_ratio_shuffled / mouth_lmd_ratio - 1: how much worse the '
    'mouth gets with the wrong sound',
  ),
  Metric(
    name='mouth_lmd',
    compute=_scored('mouth_lmd'),
    unit='head widths',
    better='lower',
    truth=0.0,
    definition='mouth landmark distance to truth in head widths: 40 lip points of the head mesh in '
    'head space, their mean subtracted in each frame, Euclidean distance, mean over points, frames '
    'and clips (method 5.3; in 3D, so pose does not count)',
    tables={'baselines': lambda study: {'expression': scores(study)}},
  ),
  Metric(
    name='face_lmd',
    compute=_scored('face_lmd'),
    unit='head widths',
    better='lower',
    truth=0.0,
    definition='as mouth_lmd with all 478 landmarks',
  ),
  Metric(
    name='lip_closure_recall',
    compute=_scored('lip_closure_recall'),
    unit='share',
    better='higher',
    truth=1.0,
    definition='of the frames with truly closed lips (gap below 15 % of the widest in the '
    'clips), the share in which the talker closes them too, within one frame',
  ),
  Metric(
    name='silence_jaw_open',
    compute=_silence_jaw_open,
    unit='blendshape weight',
    better='lower',
    truth=0.0,
    definition='mean jawOpen while the talker, neutral, hears one second of silence',
  ),
)
