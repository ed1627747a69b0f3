"""Metrics: plain functions of arrays. `DEFINITIONS` says in words what each number is."""

import itertools

import dm_pix
import numpy as np

from gmtalker_jax.data import schema

DEFINITIONS = {
  'mouth_lmd': 'mouth landmark distance to truth in head widths: 40 lip points of the head mesh in '
  'head space, their mean subtracted in each frame, Euclidean distance, mean over points, frames '
  'and clips (method 5.3; in 3D, so pose does not count)',
  'face_lmd': 'as mouth_lmd with all 478 landmarks',
  'mouth_lmd_ratio': 'mouth_lmd of the talker / mouth_lmd of the mean face; 0 = truth, '
  '1 = no better than a face that never moves',
  'mouth_lmd_ratio_shuffled': 'mouth_lmd_ratio when the talker hears the sound of another clip',
  'mouth_lmd_shuffle_rise': 'mouth_lmd_ratio_shuffled / mouth_lmd_ratio - 1: how much worse the '
  'mouth gets with the wrong sound',
  'emotion_accuracy': 'share of generated clips whose emotion a classifier names rightly; it is '
  'trained on true coefficients of the training split only; weights as recorded (level a is a/3)',
  'emotion_accuracy_truth': 'the same classifier on the true held-out clips: the ceiling',
  'emotion_accuracy_full': 'as emotion_accuracy, each held-out sound in all eight emotions at full '
  'intensity',
  'motion_diversity_ratio': 'mean pairwise distance of the head motions of different seeds for one '
  'sound / the same among true clips; motion in standard deviations of the training data, '
  'root mean square over channels, mean over frames',
  'lip_closure_recall': 'of the frames with truly closed lips (gap below 15 % of the widest in the '
  'clips), the share in which the talker closes them too, within one frame',
  'silence_jaw_open': 'mean jawOpen while the talker, neutral, hears one second of silence',
  'portrait_psnr_gain_db': 'PSNR of the portrait against the photograph minus PSNR of the plain '
  'rendering, held-out frames',
  'portrait_psnr_db': 'PSNR, RGB in 0..1, mean over frames',
  'portrait_ssim': 'SSIM with an 11x11 Gaussian window of sigma 1.5 (dm-pix), mean over frames',
  'eppl': 'emotion path length in coefficient space: E[d(t, t + h) / h^2] on the line between two '
  'emotions, d = squared distance of the mean standardised expression (method 5.3)',
  'epdv': 'variance of the step lengths on that line after division by their mean; 0 = uniform',
  'silhouette': 'silhouette of the posterior means z_gm by emotion, -1..1',
  'knn_purity': 'share of the 5 nearest neighbours of a posterior mean that have its emotion; '
  'chance is 1/8',
}

_OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
_INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
MOUTH = np.array(_OUTER + _INNER)  # of the 478 MediaPipe landmarks
LIPS = (13, 14)  # inner lips, upper and lower, on the midline
JAW_OPEN = schema.EXPRESSION_NAMES.index('jawOpen')


def landmark_distance(predicted: np.ndarray, truth: np.ndarray) -> float:
  """LMD of [T, N, C] landmarks: each frame's mean is subtracted first (method 5.3)."""
  predicted = predicted - predicted.mean(-2, keepdims=True)
  truth = truth - truth.mean(-2, keepdims=True)
  return float(np.linalg.norm(predicted - truth, axis=-1).mean())


def pairwise_distance(samples: list[np.ndarray]) -> float:
  """Mean distance over all pairs of [T, M] sequences (cut to the shorter), RMS over channels."""
  distances = []
  for a, b in itertools.combinations(samples, 2):
    frames = min(len(a), len(b))
    distances.append(np.sqrt(((a[:frames] - b[:frames]) ** 2).mean(-1)).mean())
  return float(np.mean(distances))


def lip_gap(landmarks: np.ndarray) -> np.ndarray:
  """Distance between the inner lips [T] of [T, 478, 3] landmarks."""
  upper, lower = LIPS
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


def psnr(predicted: np.ndarray, truth: np.ndarray) -> float:
  """Mean PSNR in dB of uint8 pictures [N, H, W, 3]."""
  return float(np.mean(dm_pix.psnr(_unit(predicted), _unit(truth))))


def ssim(predicted: np.ndarray, truth: np.ndarray) -> float:
  """Mean SSIM of uint8 pictures [N, H, W, 3]."""
  return float(np.mean(dm_pix.ssim(_unit(predicted), _unit(truth))))


def path_length(features: np.ndarray) -> float:
  """EPPL of features [N + 1, F] at equal steps of a path from t = 0 to 1."""
  return float((_steps(features) ** 2).mean() * (len(features) - 1) ** 2)


def path_variance(features: np.ndarray) -> float:
  """EPDV of features [N + 1, F] at equal steps of a path; 0 = every step is as long."""
  steps = _steps(features)
  return float(np.var(steps / max(steps.mean(), 1e-12)))


def _steps(features: np.ndarray) -> np.ndarray:
  return np.linalg.norm(np.diff(features, axis=0), axis=-1)


def _unit(pictures: np.ndarray) -> np.ndarray:
  return np.asarray(pictures, np.float32) / 255.0
