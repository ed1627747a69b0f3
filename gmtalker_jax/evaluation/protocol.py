"""The protocol: which clips, which seeds, what is compared with what. One dictionary comes out."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gmtalker_jax import speech
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema, source, windows
from gmtalker_jax.evaluation import baselines, embedding, metrics
from gmtalker_jax.evaluation.classifier import EmotionClassifier
from gmtalker_jax.face.landmark_model import LandmarkModel
from gmtalker_jax.inference import speak, timeline
from gmtalker_jax.inference.talker import Talker

Records = Sequence[Mapping[str, Any]]
Progress = Callable[[str], None]
_GROUPS = {
  'pose': slice(0, 6),
  'blink': schema.BLINK,
  'gaze': schema.GAZE,
}


def evaluate(
  talker: Talker,
  records: str,
  motion_records: str | None = None,
  portrait_records: str | None = None,
  *,
  clips: int = 48,
  seeds: int = 10,
  progress: Progress = lambda what: None,
) -> tuple[dict[str, Any], embedding.Embedding]:
  """Measures a talker on the held-out split 'test'.

  Args:
    talker: who.
    records: clips with emotion labels; 'train' fits the classifier and the baselines.
    motion_records: for motion diversity; default `records`.
    portrait_records: with frames of the talker's person; None leaves those numbers out.
    clips: at most so many held-out clips, evenly spread.
    seeds: of head motion for one sound.
    progress: is told what is measured now.

  Returns:
    Numbers by name (with 'definitions', 'baselines', 'clips') and the embedding of the clips.

  Raises:
    InputError: records of another speech encoder, or without labels.
  """
  train, test = _open(talker, records, 'train'), _open(talker, records, 'test', clips)
  progress('expression')
  found, generated = expression_metrics(talker, train, test)
  progress('emotion')
  found |= emotion_metrics(talker, train, test, generated)
  progress('path between emotions')
  found |= path_metrics(talker, test[0])
  progress('silence')
  found |= silence_metrics(talker)
  progress('motion')
  moving = _open(talker, motion_records or records, 'test', clips)
  found |= motion_metrics(talker, moving, seeds)
  if portrait_records:
    progress('portrait')
    found |= portrait_metrics(talker, portrait_records)
  progress('latent space')
  points = embedding.embed(talker, test)
  found |= {'silhouette': points.silhouette, 'knn_purity': points.knn_purity}
  found['clips'] = {'train': len(train), 'test': len(test), 'motion': len(moving), 'seeds': seeds}
  found['definitions'] = metrics.DEFINITIONS
  return found, points


def expression_metrics(
  talker: Talker, train: Records, test: Records
) -> tuple[dict[str, Any], list[np.ndarray]]:
  """Mouth and face distances, with the right sound and the wrong one, beside the baselines."""
  others = [test[_partner(test, i)] for i in range(len(test))]
  own = [_express(talker, r, r['speech'], i) for i, r in enumerate(test)]
  ridge = baselines.Ridge(train)
  mean = baselines.mean_face(train)
  candidates = {
    'talker': own,
    'talker, shuffled sound': [
      _express(talker, r, _fitted(o['speech'], len(r['speech'])), i)
      for i, (r, o) in enumerate(zip(test, others, strict=True))
    ],
    'ridge regression': [ridge.predict(r['speech']) for r in test],
    'mean face': [np.broadcast_to(mean, r['expression'].shape) for r in test],
    'truth': [r['expression'] for r in test],
  }
  basis = LandmarkModel.of(talker.head)
  table = {name: _distances(basis, values, test) for name, values in candidates.items()}
  still = table['mean face']['mouth_lmd']
  ratio = table['talker']['mouth_lmd'] / still
  shuffled = table['talker, shuffled sound']['mouth_lmd'] / still
  return {
    'mouth_lmd_ratio': ratio,
    'mouth_lmd_ratio_shuffled': shuffled,
    'mouth_lmd_shuffle_rise': shuffled / max(ratio, 1e-9) - 1,
    'lip_closure_recall': table['talker']['lip_closure_recall'],
    'baselines': {'expression': table},
  }, own


def emotion_metrics(
  talker: Talker, train: Records, test: Records, generated: list[np.ndarray]
) -> dict[str, Any]:
  """How often a judge of the truth names the intended emotion."""
  judge = EmotionClassifier([r['expression'] for r in train], [r['emotion'] for r in train])
  labels = [r['emotion'] for r in test]
  named = judge.predict(generated)
  full, wanted = [], []
  for i, record in enumerate(test[:: max(1, len(test) // 6)][:6]):
    for emotion in schema.EMOTIONS:
      weights = timeline.parse(emotion, 1.0, len(record['expression']))
      full.append(_generate(talker, record, record['speech'], weights, i))
      wanted.append(emotion)
  return {
    'emotion_accuracy': float(np.mean([a == b for a, b in zip(named, labels, strict=True)])),
    'emotion_accuracy_truth': judge.accuracy([r['expression'] for r in test], labels),
    'emotion_accuracy_full': judge.accuracy(full, wanted),
    'emotion_confusion': _confusion(labels, named),
  }


def path_metrics(talker: Talker, record: Mapping[str, Any], steps: int = 8) -> dict[str, float]:
  """EPPL and EPDV from neutral to each emotion, in coefficient space."""
  frames = min(len(record['expression']), speak.BUCKET)
  rows = record['speech'][: 2 * frames]
  lengths, variances = [], []
  for emotion in schema.EMOTIONS:
    if emotion == 'neutral':
      continue
    path = []
    for t in np.linspace(0.0, 1.0, steps + 1):
      weights = timeline.parse(emotion, float(t), frames)
      values = _generate(talker, record, rows, weights, 0)
      path.append(talker.expression.statistics.expression.normalize(values).mean(0))
    lengths.append(metrics.path_length(np.stack(path)))
    variances.append(metrics.path_variance(np.stack(path)))
  return {'eppl': float(np.mean(lengths)), 'epdv': float(np.mean(variances))}


def silence_metrics(talker: Talker, seeds: int = 5) -> dict[str, float]:
  """How far the mouth is open while nothing is heard for a second."""
  rows = speech.encode(np.zeros(schema.SAMPLE_RATE, np.float32), talker.speech_encoder)
  weights = timeline.parse('neutral', 1.0, schema.FRAME_RATE)
  jaws = [
    speak.generate_expression(talker, rows, weights, seed)[0][:, metrics.JAW_OPEN].mean()
    for seed in range(seeds)
  ]
  return {'silence_jaw_open': float(np.mean(jaws))}


def motion_metrics(talker: Talker, test: Records, seeds: int, sounds: int = 6) -> dict[str, Any]:
  """How much the seeds differ, against how much people differ."""
  standardise = talker.motion.statistics.motion.normalize
  truth = [standardise(r['motion']) for r in test]
  heard = test[:: max(1, len(test) // sounds)][:sounds]
  made = [
    [
      standardise(speak.generate_motion(talker, np.asarray(r['speech'], np.float32), seed))
      for seed in range(seeds)
    ]
    for r in heard
  ]
  result = {}
  for name, part in {'': slice(None), **_GROUPS}.items():
    ours = np.mean([metrics.pairwise_distance([m[:, part] for m in group]) for group in made])
    theirs = metrics.pairwise_distance([m[:, part] for m in truth])
    key = f'motion_diversity_ratio_{name}' if name else 'motion_diversity_ratio'
    result[key] = float(ours / theirs)
  return result


def portrait_metrics(talker: Talker, directory: str, frames: int = 48) -> dict[str, float]:
  """Pictures of held-out frames, painted from the true coefficients."""
  module = talker.portrait.module
  plain = source.open_records(directory, 'test')
  mine = [i for i in range(len(plain)) if plain[i]['subject'] == talker.subject]
  if not mine:
    raise InputError(f'got no test clip of {talker.subject!r} in {directory!r}, expected some')
  mine = mine[:: max(1, len(mine) // 12)][:12]
  pictured, each = source.open_records(directory, 'test', with_frames=True), -(-frames // len(mine))
  chosen = []
  for i in mine:
    record = pictured[i]
    latent = embedding.posterior_mean(talker, record)
    shots = windows.portrait_frames(
      record, latent, input_size=module.input_size, output_size=module.output_size
    )
    chosen += shots[:: max(1, len(shots) // each)][:each]
  return _picture_metrics(talker, chosen)


def _picture_metrics(talker: Talker, shots: list[dict[str, np.ndarray]]) -> dict[str, float]:
  import cv2

  shots = shots[: len(shots) // speak.BATCH * speak.BATCH] or shots
  stack = {name: np.stack([s[name] for s in shots]) for name in shots[0]}
  painted = np.concatenate(
    [
      speak.paint_batch(
        talker, *(stack[n][i : i + speak.BATCH] for n in ('rendering', 'emotion', 'latent'))
      )
      for i in range(0, len(shots), speak.BATCH)
    ]
  )
  size = talker.portrait.module.output_size
  enlarged = np.stack([cv2.resize(r, (size, size)) for r in stack['rendering']])
  portrait, rendering = (metrics.psnr(x, stack['image']) for x in (painted, enlarged))
  return {
    'portrait_psnr_gain_db': portrait - rendering,
    'portrait_psnr_db': portrait,
    'rendering_psnr_db': rendering,
    'portrait_ssim': metrics.ssim(painted, stack['image']),
    'rendering_ssim': metrics.ssim(enlarged, stack['image']),
  }


def _open(talker: Talker, directory: str, split: str, limit: int | None = None) -> Records:
  """Records in memory, evenly spread over the split (sorted by id)."""
  opened = source.open_records(directory, split)
  records = sorted((opened[i] for i in range(len(opened))), key=lambda r: r['id'])
  if limit and len(records) > limit:
    records = [records[i] for i in np.linspace(0, len(records) - 1, limit).round().astype(int)]
  if len(records) < 2:
    raise InputError(f'got {len(records)} clips in {split!r} of {directory!r}, expected 2 or more')
  encoder = records[0]['speech_encoder']
  if not speech.same(encoder, talker.speech_encoder):
    raise InputError(
      f'got records on {encoder!r}, expected {talker.speech_encoder!r} as the talker; prepare again'
    )
  return records


def _express(talker: Talker, record: Mapping[str, Any], rows: np.ndarray, seed: int) -> np.ndarray:
  weights = windows.emotion_weights(record['emotion'], int(record['level']))
  weights = np.tile(weights, (len(record['expression']), 1))
  return _generate(talker, record, rows, weights, seed)


def _generate(talker: Talker, record, rows, weights, seed: int) -> np.ndarray:
  """The served path, in the manner of the person on the record."""
  talker = talker._replace(subject=record['subject'])
  return speak.generate_expression(talker, np.asarray(rows, np.float32), weights, seed)[0]


def _partner(test: Records, i: int) -> int:
  """Another clip, of the same emotion where there is one: only the sound should be wrong."""
  same = [j for j, r in enumerate(test) if r['emotion'] == test[i]['emotion'] and j != i]
  return same[i % len(same)] if same else (i + 1) % len(test)


def _fitted(rows: np.ndarray, length: int) -> np.ndarray:
  return np.resize(rows, (length, rows.shape[1])) if len(rows) < length else rows[:length]


def _distances(basis: LandmarkModel, values: list[np.ndarray], test: Records) -> dict[str, float]:
  mouth, face, gaps, true_gaps = [], [], [], []
  for expression, record in zip(values, test, strict=True):
    ours = basis.place(expression, record['identity'])
    truth = basis.place(record['expression'], record['identity'])
    mouth.append(metrics.landmark_distance(ours[:, metrics.MOUTH], truth[:, metrics.MOUTH]))
    face.append(metrics.landmark_distance(ours, truth))
    gaps.append(metrics.lip_gap(ours))
    true_gaps.append(metrics.lip_gap(truth))
  return {
    'mouth_lmd': float(np.mean(mouth)),
    'face_lmd': float(np.mean(face)),
    'lip_closure_recall': metrics.closure_recall(gaps, true_gaps),
  }


def _confusion(truth: Sequence[str], named: Sequence[str]) -> dict[str, dict[str, int]]:
  pairs = list(zip(truth, named, strict=True))
  return {a: {b: pairs.count((a, b)) for b in schema.EMOTIONS} for a in schema.EMOTIONS}
