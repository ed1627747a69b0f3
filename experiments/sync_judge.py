"""Trains the judge of lip-sync that comes with the package, and prints what it is worth.

    python -m experiments.performances --out runs/seated --people 12 --sentences 3
    gmtalker prepare folder GRID --out runs/grid
    python -m experiments.sync_judge --train runs/seated runs/grid --test runs/seated runs/grid \\
        --out gmtalker_jax/io/sync_judge.npz

It learns from the split 'train' of the folders, as often from each, and is asked about the split
'test': sound that is early or late by 5 to 15 frames must agree less than the
clip's own. Without --train the judge that is there is asked. Hours: minutes on one CPU core.
"""

import argparse
import sys
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import trange

from gmtalker_jax.data import source
from gmtalker_jax.evaluation.metrics import sync
from gmtalker_jax.io import sync_judge
from gmtalker_jax.io.sync_judge import Scale, SyncJudge
from gmtalker_jax.models.lip_sync import LipSync

FRAMES = 60  # of a crop: every other moment of it is a wrong sound
BATCH = 8  # crops of each folder
NEAR = 2  # frames: so near a moment is neither right nor wrong
LIP_NOISE, SOUND_NOISE = 0.3, 0.3  # standard deviations: a tracker's and a room's
GAIN = 0.3  # how much stronger or weaker somebody moves a channel, standard deviation of its log

Clip = tuple[np.ndarray, np.ndarray]  # expression [T, E], speech [2T, D]


def clips(folder: str, split: str, encoder: str = '') -> tuple[list[Clip], str]:
  """Clips of a folder that were tracked from end to end, and what encoded their speech."""
  opened = source.open_records(folder, split)
  records = [opened[i] for i in range(len(opened))]
  kept = [r for r in records if np.all(r['valid']) and len(r['expression']) >= FRAMES]
  encoder = encoder or kept[0]['speech_encoder']
  wrong = {r['speech_encoder'] for r in kept} - {encoder}
  if wrong:
    raise SystemExit(f'got speech of {wrong} in {folder}, expected {encoder}; prepare again')
  pairs = [(np.asarray(r['expression'], np.float32), np.asarray(r['speech'], np.float32))
           for r in kept]  # fmt: skip
  return pairs, encoder


def fit(folders: Sequence[Sequence[Clip]], encoder: str, width: int, steps: int) -> SyncJudge:
  """Trains a judge: of all moments of a crop, which is the one of these lips, and the other way."""
  scale = Scale.of([clip for folder in folders for clip in folder])
  ready = [[scale.apply(*clip) for clip in folder] for folder in folders]
  module, rng = LipSync(width=width), np.random.default_rng(0)
  params = module.init(jax.random.key(0), *map(jnp.asarray, batch(ready, rng)))['params']
  optimizer = optax.adamw(optax.cosine_decay_schedule(1e-3, steps), weight_decay=1e-2)
  state = optimizer.init(params)

  @jax.jit
  def step(params, state, seen, heard):
    value, slope = jax.value_and_grad(lambda p: loss(module, p, seen, heard))(params)
    updates, state = optimizer.update(slope, state, params)
    return optax.apply_updates(params, updates), state, value

  bar = trange(steps, unit='step')
  for _ in bar:
    params, state, value = step(params, state, *batch(ready, rng))
    bar.set_postfix(loss=f'{float(value):.3f}', refresh=False)
  return SyncJudge(jax.device_get(params), scale, encoder)


def batch(
  folders: Sequence[Sequence[Clip]], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
  """Crops [B, FRAMES, L] and speech [B, 2 FRAMES, D], as others would move and record them."""
  crops = []
  for folder in folders:
    for i in rng.integers(0, len(folder), BATCH):
      lips, rows = folder[i]
      start = rng.integers(0, len(lips) - FRAMES + 1)
      lips = lips[start : start + FRAMES]
      rows = rows[2 * start : 2 * (start + FRAMES)]
      gain = np.exp(GAIN * rng.normal(size=lips.shape[1]))
      lips = lips * gain + LIP_NOISE * rng.normal(size=lips.shape)
      crops.append((lips, rows + SOUND_NOISE * rng.normal(size=rows.shape)))
  lips, rows = (np.stack(part).astype(np.float32) for part in zip(*crops, strict=True))
  return lips, rows


def loss(module: LipSync, params, seen: jax.Array, heard: jax.Array) -> jax.Array:
  """Cross-entropy of the right moment among those of the crop, both ways."""
  lips = module.apply({'params': params}, seen, method='lips')
  sound = module.apply({'params': params}, heard, method='sound')
  logits = jnp.exp(params['scale']) * jnp.einsum('btd,bsd->bts', lips, sound)
  apart = jnp.abs(jnp.arange(logits.shape[1])[:, None] - jnp.arange(logits.shape[2]))
  logits = jnp.where((apart > 0) & (apart <= NEAR), -jnp.inf, logits)
  right = jnp.arange(logits.shape[1])[None].repeat(logits.shape[0], 0)
  ways = (logits, logits.swapaxes(1, 2))
  return sum(optax.softmax_cross_entropy_with_integer_labels(w, right).mean() for w in ways) / 2


def worth(judge: SyncJudge, pairs: Sequence[Clip]) -> str:
  """What the judge says of clips whose sound is in time."""
  tables = [judge.agreement(*pair) for pair in pairs]
  told = np.mean([sync.preferred(t) for t in tables])
  right = np.mean([sync.clip_preferred(t) for t in tables])
  offsets = np.array([sync.offset(t) for t in tables])
  confidence = np.mean([sync.confidence(t) for t in tables])
  return (
    f'{len(pairs)} clips: windows {told:.3f}, clips {right:.3f}, '
    f'|offset| mean {np.abs(offsets).mean():.0f} ms, median {np.median(np.abs(offsets)):.0f} ms, '
    f'confidence {confidence:.3f}'
  )


def main() -> None:
  """Writes OUT and prints a line for each folder."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--train', nargs='*', default=[], metavar='RECORDS')
  parser.add_argument('--test', nargs='+', required=True, metavar='RECORDS[:SPLIT]')
  parser.add_argument('--out', default=None, metavar='FILE')
  parser.add_argument('--width', type=int, default=64)
  parser.add_argument('--steps', type=int, default=2000)
  args = parser.parse_args()
  if args.train:
    encoder, folders = '', []
    for folder in args.train:
      found, encoder = clips(folder, 'train', encoder)
      folders.append(found)
    judge = fit(folders, encoder, args.width, args.steps)
    if args.out:
      sync_judge.save(args.out, judge)
  else:
    judge = sync_judge.load(args.out)
  for named in args.test:
    folder, _, split = named.partition(':')
    found, _ = clips(folder, split or 'test', judge.encoder)
    sys.stdout.write(f'{named}: {worth(judge, found)}\n')


if __name__ == '__main__':
  main()
