"""Small records for tests: a few clips of three people, one of them with pictures."""

import io

import numpy as np
from PIL import Image

from data_pipelines import build
from gmtalker_jax.data import schema

PEOPLE = ('M001', 'W002', 'W003')
SPEECH_DIM = 6


def write(out, train=12, test=4, size=64, **options):
  """Writes records; the clips of the first person have pictures of `size`."""
  splits = {
    'train': (record(i, size) for i in range(train)),
    'test': (record(i, size) for i in range(100, 100 + test)),
  }
  return build.write_records(splits, out, 'toy', **options)


def record(i, size=0):
  """A record whose expression and motion can be learnt from its speech."""
  rng = np.random.default_rng(i)
  frames = 14 + i % 5
  person = i % len(PEOPLE)
  speech = rng.normal(size=(2 * frames, SPEECH_DIM)).astype(np.float16)
  loud = speech.reshape(frames, -1).mean(-1, keepdims=True).astype(np.float32)
  pictures = frames if size and person == 0 else 0
  return {
    'id': f'clip{i:03d}',
    'dataset': 'procedural',
    'subject': PEOPLE[person],
    'emotion': schema.EMOTIONS[i % 8],
    'level': 1 + i % 3,
    'view': 'front',
    'layout': 'arkit',
    'speech_encoder': 'logmel',
    'speech': speech,
    'expression': np.clip(0.3 + loud * np.linspace(-0.5, 0.5, 50, dtype=np.float32), 0, 1),
    'motion': 0.1 * loud * np.ones(12, np.float32) + rng.normal(size=12) * 0.02,
    'sway': np.zeros((frames, 8), np.float32),
    'valid': np.ones(frames, np.float32),
    'identity': np.full(80, person, np.float32),
    'audio_lag': 0.0,
    'frames': [image('JPEG', size, rng) for _ in range(pictures)],
    'renderings': [image('PNG', size, rng) for _ in range(pictures)],
  }


def image(kind, size, rng):
  """Encoded bytes of a smooth random picture."""
  small = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)
  data = io.BytesIO()
  Image.fromarray(small).resize((size, size), Image.Resampling.BILINEAR).save(data, kind)
  return data.getvalue()
