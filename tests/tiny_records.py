"""Records of nothing in particular, written and read by the real code."""

import cv2
import numpy as np

from data_pipelines import build
from gmtalker_jax import speech
from gmtalker_jax.data import schema


def write(folder, encoder: str, clips: int = 8, frames: int = 12, size: int = 64) -> str:
  """Writes `clips` clips per split of the people M001 and W002; every second has pictures."""
  rng = np.random.default_rng(0)
  splits = {
    split: [record(rng, split, i, encoder, frames, size) for i in range(clips)]
    for split in ('train', 'test')
  }
  return str(build.write_records(splits, folder, 'procedural'))


def record(rng, split, i, encoder, frames, size):
  emotion = schema.EMOTIONS[i % 8]
  expression = 0.2 * rng.uniform(size=(frames, 50))
  expression[:, schema.EMOTIONS.index(emotion)] += 0.5
  picture = lambda suffix: cv2.imencode(  # noqa: E731
    suffix, rng.integers(0, 255, (size, size, 3), dtype=np.uint8)
  )[1].tobytes()
  pictured = i % 2 == 0
  return {
    'id': f'{split}_{i:03d}',
    'dataset': 'procedural',
    'subject': 'M001' if i % 2 == 0 else 'W002',
    'emotion': emotion,
    'level': 1 if emotion == 'neutral' else 1 + i % 3,
    'view': 'front',
    'layout': 'arkit',
    'speech_encoder': encoder,
    'speech': rng.normal(size=(2 * frames, speech.dimension(encoder))),
    'expression': expression,
    'motion': 0.1 * rng.normal(size=(frames, 12)),
    'sway': np.zeros((frames, 8)),
    'valid': np.ones(frames),
    'identity': np.zeros(80),
    'audio_lag': 0.0,
    'frames': [picture('.jpg') for _ in range(frames)] if pictured else [],
    'renderings': [picture('.png') for _ in range(frames)] if pictured else [],
  }
