"""Is the mouth where the sound puts it? Beside the wrong sound, trivial faces and the truth."""

from collections.abc import Callable, Sequence
from typing import Any

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
_ANY = ('records', 'portrait_records')  # labels are not needed
_TURNS = (0.25, 0.5, 0.75)  # of a clip's length

Scores = dict[str, Any]  # by metric: a number, or None


@part
def scores(study: Study) -> dict[str, Scores]:
  """By who moves the face: mouth_lmd, face_lmd and lip_closure_recall over the held-out clips."""
  study.progress('expression')
  train, test = study.heard
  wrong = [(i, rows) for i in range(len(test)) for rows in _wrong_sounds(study, i)]
  ridge, mean = baselines.Ridge(train), baselines.mean_face(train)
  candidates = {
    'talker': (study.generated, test),
    _SHUFFLED: (
      [study.express(test[i], rows, i) for i, rows in wrong],
      [test[i] for i, _ in wrong],
    ),
    'ridge regression': ([ridge.predict(r['speech']) for r in test], test),
    'mean face': ([np.broadcast_to(mean, r['expression'].shape) for r in test], test),
    'truth': ([r['expression'] for r in test], test),
  }
  model = LandmarkModel.of(study.talker.head)
  return {name: _distances(model, *faces) for name, faces in candidates.items()}


def landmark_distance(predicted: np.ndarray, truth: np.ndarray) -> float:
  """LMD of [T, N, C] landmarks: each frame's mean is subtracted first (method 5.3)."""
  predicted = predicted - predicted.mean(-2, keepdims=True)
  truth = truth - truth.mean(-2, keepdims=True)
  return float(np.linalg.norm(predicted - truth, axis=-1).mean())


def lip_gap(landmarks: np.ndarray) -> np.ndarray:
  """Distance between the inner lips [T] of [T, 478, 3] landmarks."""
  upper, lower = MIDDLE_LIPS
  return np.linalg.norm(landmarks[:, upper] - landmarks[:, lower], axis=-1)


def closure_recall(gaps: list[np.ndarray], true_gaps: list[np.ndarray]) -> float | None:
  """Share of truly closed frames in which `gaps` is closed as well, one frame early or late.

  None where no frame is.
  """
  limit = 0.15 * max(g.max() for g in true_gaps)
  hits, total = 0, 0
  for gap, true in zip(gaps, true_gaps, strict=True):
    padded = np.pad(gap, 1, mode='edge')
    near = np.minimum(np.minimum(padded[:-2], padded[1:-1]), padded[2:])
    hits += int(((near < limit) & (true < limit)).sum())
    total += int((true < limit).sum())
  return hits / total if total else None


def _wrong_sounds(study: Study, i: int) -> list[np.ndarray]:
  """Rows [2T, D] of what held-out clip `i` does not say.

  Another clip's, where there are labelled ones; who was only filmed for a portrait may have one
  held-out clip, which is then turned in time: the same voice, loudness and pace elsewhere.
  """
  clips = study.heard[1]
  rows = np.asarray(clips[i]['speech'])
  if study.records is not None:
    return [_fitted(clips[_partner(clips, i)]['speech'], len(rows))]
  frames = len(rows) // schema.SPEECH_PER_FRAME
  return [np.roll(rows, schema.SPEECH_PER_FRAME * round(turn * frames), 0) for turn in _TURNS]


def _partner(test: Records, i: int) -> int:
  """Another clip, of the same emotion where there is one: only the sound should be wrong."""
  same = [j for j, r in enumerate(test) if r['emotion'] == test[i]['emotion'] and j != i]
  return same[i % len(same)] if same else (i + 1) % len(test)


def _fitted(rows: np.ndarray, length: int) -> np.ndarray:
  return np.resize(rows, (length, rows.shape[1])) if len(rows) < length else rows[:length]


def _distances(model: LandmarkModel, values: Sequence[np.ndarray], truths: Records) -> Scores:
  mouth, face, gaps, true_gaps = [], [], [], []
  for expression, record in zip(values, truths, strict=True):
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


def _scored(key: str) -> Callable[[Study], float | None]:
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
    needs=_ANY,
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
    needs=_ANY,
    baselines={'mean face': 1.0},
    definition='mouth_lmd_ratio when the talker hears the sound of another clip, of the same '
    "emotion where there is one; without labelled clips: the clip's own sound, turned in time by a "
    'quarter, a half and three quarters of its length',
  ),
  Metric(
    name='mouth_lmd_shuffle_rise',
    compute=_shuffle_rise,
    unit='ratio',
    better='higher',
    needs=_ANY,
    baselines={'mean face': 0.0},
    definition='mouth_lmd_ratio_shuffled / mouth_lmd_ratio - 1: how much worse the '
    'mouth gets with the wrong sound',
  ),
  Metric(
    name='mouth_lmd',
    compute=_scored('mouth_lmd'),
    unit='head widths',
    better='lower',
    needs=_ANY,
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
    needs=_ANY,
    truth=0.0,
    definition='as mouth_lmd with all 478 landmarks',
  ),
  Metric(
    name='lip_closure_recall',
    compute=_scored('lip_closure_recall'),
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
