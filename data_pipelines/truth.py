"""A clip of the built-in corpus: its record comes from the truth beside it instead of tracking."""

import numpy as np

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.face.landmark_model import LandmarkModel
from gmtalker_jax.io import video

from . import fit as fitting
from . import ingest
from . import track as tracking
from .sources import ClipSource


def read(source: ClipSource, tools: ingest.Tools) -> ingest.Ingested:
  """A clip of the built-in corpus: the truth beside it instead of tracking."""
  assert source.truth_path is not None, 'only for the built-in corpus'
  wave = ingest.sound(source)
  try:
    with np.load(source.truth_path, allow_pickle=False) as truth:
      expression, motion = truth['expression'], truth['motion']
      identity = truth['identity']
      split = str(truth['split'])
  except (OSError, ValueError, KeyError) as error:
    raise ingest.Rejected('bad_truth', f'{source.truth_path.name}: {error}') from None
  frames = schema.frame_count(len(wave))
  if abs(len(expression) - frames) > 1:
    raise ingest.Rejected('bad_truth', f'{len(expression)} frames of truth for {frames} of sound')
  wave, frames = ingest.aligned(wave, 0, len(expression))
  record = ingest.new_record(source, tools.encoder, wave, frames, 0.0)
  record |= {
    'expression': expression[:frames].astype(np.float32),
    'motion': motion[:frames].astype(np.float32),
    'identity': identity.astype(np.float32),
    'valid': np.ones(frames, np.float32),
  }
  shape = _picture_shape(source)
  crop = tracking.Crop(np.array([shape[1] / 2, shape[0] / 2]), float(min(shape)))
  points = _landmarks(tools.model, record)
  source = source._replace(split=split)
  facts = ingest.clip_facts(source, frames) | {'landmark_error': 0.0, 'audio_lag': 0.0, 'notes': []}
  return ingest.Ingested(source, record, facts, crop, 0, points, wave)


def _picture_shape(source: ClipSource) -> tuple[int, int]:
  try:
    return next(iter(video.stream(source.video_path))).shape[:2]
  except (InputError, StopIteration) as error:
    raise ingest.Rejected('damaged_video', str(error)) from None


def _landmarks(model: LandmarkModel, record: dict) -> np.ndarray:
  at = schema.BLINKS[0]
  blink = record['motion'][:, schema.BLINK]
  weights = np.concatenate([record['expression'][:, :at], blink, record['expression'][:, at:]], 1)
  return fitting.landmarks(model, record['identity'], weights, record['motion'])
