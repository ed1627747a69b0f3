"""How long the sound of a clip lags its picture: in many real clips it does, by a steady amount.

A ridge regression predicts the lip opening from speech features, and the shift at which prediction
and tracked lips agree best is the lag. The regression (lag_predictor.npz, 576 numbers) was fitted
to 50 sentences of one speaker of the GRID corpus (Cooke et al. 2006, CC BY 4.0), whose sound is in
time to 20 ms; `python -m data_pipelines.lag FOLDER OUT` makes it.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gmtalker_jax import speech
from gmtalker_jax.data import schema
from gmtalker_jax.face import landmarks as names
from gmtalker_jax.io import audio, video

from .landmarker import Landmarker

ENCODER = 'logmel+embedding@306b19b9'  # the predictor was fitted to these very numbers
# Seconds. MEAD's clips lag 0.13 to 0.26. With 0.4, 2 of 74 clips of the built-in corpus, whose
# sound is in time, were moved by 0.30 and 0.34; a border that is only touched moves nothing.
LARGEST = 0.3
CORRELATION = 0.25  # that the best shift must reach to be believed
CONFIDENCE = 1.5  # standard errors by which it must beat no shift at all
FRAMES_PER_SAMPLE = 4  # neighbouring frames are alike: so many count as one observation

_RATE = schema.FRAME_RATE * schema.SPEECH_PER_FRAME
_MELS = speech.dimension('logmel')
_CONTEXT = (-6, -3, 0, 1, 4, 7)  # rows of log-mel around a video frame
_RIDGE = 1.0


class Lag(NamedTuple):
  """`seconds` to correct, 0 unless sure; the best shift, and the correlations there and at 0."""

  seconds: float
  best: float
  at_best: float
  at_zero: float


def lip_opening(landmarks: np.ndarray, valid: np.ndarray) -> np.ndarray:
  """Gap between the inner lips [T] in outer-eye distances, of landmarks [T, 478, 2+].

  Frames without a face (valid [T] 0) are interpolated.
  """
  points = landmarks[..., :2]
  upper, lower = names.MIDDLE_LIPS
  gap = np.linalg.norm(points[:, upper] - points[:, lower], axis=-1)
  eyes = names.outer_eye_distance(points)
  seen = np.flatnonzero(valid)
  return np.interp(np.arange(len(gap)), seen, gap[seen] / np.maximum(eyes[seen], 1e-6))


def estimate(wave: np.ndarray, opening: np.ndarray, start: int = 0) -> Lag:
  """Estimates the lag of a clip.

  Args:
    wave: [S] the sound of the whole clip, 16 kHz.
    opening: [T] lip opening at 25 fps.
    start: the video frame of the clip that opening[0] belongs to.

  Returns:
    the lag; positive where the sound comes late.
  """
  predicted = _inputs(speech.encode(wave, ENCODER)) @ _predictor()
  return align(predicted, opening, start)


def align(predicted: np.ndarray, opening: np.ndarray, start: int = 0) -> Lag:
  """As `estimate`, from the predicted opening [R] at 50 Hz."""
  smooth = np.convolve(np.pad(opening, 1, mode='edge'), (0.25, 0.5, 0.25), 'valid')
  steps = round(LARGEST * _RATE)
  shifts = np.arange(-steps, steps + 1)
  rows = (start + np.arange(len(opening))) * schema.SPEECH_PER_FRAME
  curve = np.array([_correlation(predicted, rows + shift, smooth) for shift in shifts])
  top, zero = int(np.argmax(curve)), float(curve[steps])
  best, peak = (shifts[top] + _parabola(curve, top)) / _RATE, float(curve[top])
  errors = (_fisher(peak) - _fisher(zero)) * np.sqrt(len(opening) / FRAMES_PER_SAMPLE)
  inside = 0 < top < len(shifts) - 1
  sure = inside and peak >= CORRELATION and errors >= CONFIDENCE
  return Lag(float(best) if sure else 0.0, float(best), peak, zero)


def fit_predictor(clips: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
  """Weights [576] from clips without lag: (lip opening [T], speech features [2T, 176]) each."""
  inputs, targets = [], []
  for opening, features in clips:
    rows = np.arange(len(opening)) * schema.SPEECH_PER_FRAME
    x = _inputs(features)[np.minimum(rows, len(features) - 1)]
    inputs.append(x - x.mean(0))
    targets.append((opening - opening.mean()) / (opening.std() + 1e-9))
  x, y = np.concatenate(inputs), np.concatenate(targets)
  scale = x.std(0) + 1e-3
  x = x / scale
  matrix = x.T @ x + _RIDGE * len(x) * np.eye(x.shape[1])
  return (np.linalg.solve(matrix, x.T @ y) / scale).astype(np.float32)


def build_predictor(folder: str, out: str) -> None:
  """Fits the predictor to the videos of a folder whose sound is known to be in time."""
  clips, landmarker = [], Landmarker()
  for path in sorted(Path(folder).rglob('*.mp4')):
    landmarker.reset()
    faces = [landmarker.track(frame) for frame in video.stream(path)]
    found = [face.landmarks for face in faces if face is not None]
    if len(found) == len(faces):
      points = np.stack(found)
      opening = lip_opening(points, np.ones(len(points)))
      clips.append((opening, speech.encode(audio.read(path), ENCODER)))
  np.savez(out, weights=fit_predictor(clips), source=np.array('GRID corpus, s1; CC BY 4.0'))


def _inputs(features: np.ndarray) -> np.ndarray:
  """Regression inputs [R, 576] of features [R, 176]: log-mel in context, embedding in place."""
  rows = np.arange(len(features))
  near = [np.clip(rows + k, 0, len(features) - 1) for k in _CONTEXT]
  context = [features[at, :_MELS] for at in near]
  embedding = features[:, _MELS:]
  after = embedding[np.clip(rows + 1, 0, len(features) - 1)]
  return np.concatenate([*context, (embedding + after) / 2], 1)


def _predictor() -> np.ndarray:
  path = Path(__file__).with_name('lag_predictor.npz')
  with path.open('rb') as file, np.load(file, allow_pickle=False) as arrays:
    return arrays['weights']


def _correlation(predicted: np.ndarray, rows: np.ndarray, opening: np.ndarray) -> float:
  """Pearson's r over the frames whose rows exist; 0 where nothing moves or little overlaps."""
  inside = (rows >= 0) & (rows < len(predicted))
  if inside.sum() < 8:
    return 0.0
  a, b = predicted[rows[inside]], opening[inside]
  a, b = a - a.mean(), b - b.mean()
  return float(a @ b / max(np.sqrt((a @ a) * (b @ b)), 1e-9))


def _parabola(curve: np.ndarray, top: int) -> float:
  """Where between its neighbours the maximum lies, -0.5..0.5 steps."""
  if not 0 < top < len(curve) - 1:
    return 0.0
  before, here, after = curve[top - 1 : top + 2]
  bend = before - 2 * here + after
  return float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0


def _fisher(correlation: float) -> float:
  return float(np.arctanh(np.clip(correlation, -0.999, 0.999)))


if __name__ == '__main__':
  build_predictor(*sys.argv[1:])
