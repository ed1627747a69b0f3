"""Records of performances without pictures: sound and truth straight from the procedural corpus.

The expression and motion stages never look at a frame, so the built-in talker's first two stages
are trained on many invented people at the cost of their voices alone.

    python -m experiments.performances --out records/seated --people 12 --sentences 5
    python -m experiments.performances --out records/stage --people 16 --sentences 12 --stage

Hours: about ten minutes for 1,000 clips on two CPU cores.
"""

import argparse
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from scipy import signal
from tqdm import tqdm

from data_pipelines import build
from data_pipelines.procedural import corpus, perform
from data_pipelines.procedural.corpus import Clip
from gmtalker_jax import speech
from gmtalker_jax.data import schema


def record(clip: Clip, seed: int, encoder: str) -> dict[str, Any]:
  """Performs a clip: one record as in `schema.RECORD`, without frames."""
  chance = zlib.crc32(clip.path.encode()) + seed
  done = perform.perform(clip.person, clip.text, clip.emotion, clip.level, chance)
  audio = microphone(done.audio, np.random.default_rng(chance))
  opened = speech.open(encoder)
  return {
    'id': clip.path.replace('/', '_'),
    'dataset': 'procedural',
    'subject': clip.person.name,
    'emotion': clip.emotion,
    'level': clip.level,
    'view': 'front',
    'layout': 'arkit',
    'speech_encoder': opened.identity,
    'speech': opened.encode(audio).astype(np.float16),
    'expression': done.expression,
    'motion': done.motion,
    'sway': np.zeros((len(done.motion), len(schema.SWAY_NAMES)), np.float32),
    'valid': np.ones(len(done.motion), np.float32),
    'identity': clip.person.identity,
    'audio_lag': 0.0,
    'frames': [],
    'renderings': [],
  }


def microphone(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Colours sound [S] as another microphone in another room would: a tilt and a little noise."""
  tilt = rng.uniform(-0.5, 0.5)
  coloured = signal.lfilter([1.0, tilt], [1.0], audio)
  hiss = rng.standard_normal(len(audio)) * 10 ** (rng.uniform(-75, -50) / 20)
  return (coloured + hiss).astype(np.float32)


def records(clips: list[Clip], seed: int, encoder: str, workers: int) -> Iterator[dict[str, Any]]:
  """Performs clips in order, some at once, with a progress bar."""
  work = partial(record, seed=seed, encoder=encoder)
  with ProcessPoolExecutor(workers) as pool:
    yield from tqdm(pool.map(work, clips, chunksize=4), total=len(clips), unit='clip')


def main() -> None:
  """Writes OUT/records."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--out', required=True)
  parser.add_argument('--people', type=int, default=12)
  parser.add_argument('--sentences', type=int, default=5, help='each emotion and level; or clips')
  parser.add_argument('--stage', action='store_true', help='heads that move as on a stage')
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--encoder', default=speech.DEFAULT)
  parser.add_argument('--workers', type=int, default=2)
  args = parser.parse_args()
  sizes = {'people': args.people, 'sentences': args.sentences, 'test_sentences': 1}
  stage = {'stage_people': 0, 'stage_clips': 0}
  if args.stage:
    sizes = {'people': 1, 'sentences': 1, 'test_sentences': 1}
    stage = {'stage_people': args.people, 'stage_clips': args.sentences}
  unseen = {'size': 64, 'video_size': 64, 'portrait_sentences': 0}
  clips = corpus.plan(**sizes, **stage, **unseen, seed=args.seed)
  clips = [c for c in clips if c.path.startswith('lrs3' if args.stage else 'mead')]
  splits = {s: [c for c in clips if c.split == s] for s in ('train', 'test')}
  examples = {s: records(c, args.seed, args.encoder, args.workers) for s, c in splits.items()}
  build.write_records(examples, args.out, 'procedural')


if __name__ == '__main__':
  main()
