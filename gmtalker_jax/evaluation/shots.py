"""Held-out frames of the talker's person, and who shows them: the painter, the truth, and others.

They are the rows of the table for pictures. The blurred photograph and noise are there to be found
out: see `checks.py`.
"""

from typing import Any

import cv2
import numpy as np

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import emotion as emotions
from gmtalker_jax.data import frames as clip_frames
from gmtalker_jax.data import source, windows
from gmtalker_jax.data.batches import Cached
from gmtalker_jax.data.latent import Normal
from gmtalker_jax.evaluation import regions
from gmtalker_jax.evaluation.performers import NOISE, TALKER, TRUTH
from gmtalker_jax.evaluation.study import Study, part
from gmtalker_jax.inference import latents, speak
from gmtalker_jax.inference.talker import Talker

RENDERING, BLURRED = 'plain rendering', 'truth, blurred'
NEAREST, MEAN = 'nearest training frame', 'mean training frame'
_BLUR = 1 / 64  # deviation, in widths of the picture
_AVERAGED = 64  # training frames


@part
def pictures(study: Study) -> dict[str, np.ndarray]:
  """The same held-out frames by who shows them, uint8 [N, H, W, 3].

  Raises:
    InputError: no held-out clip of that person, or one without frames.
  """
  study.progress('portrait')
  talker, batch, found = study.talker, speak.batch_size(), shots(study)
  stack = {n: np.stack([s[n] for s in found]) for n in ('rendering', 'image', 'emotion', 'latent')}
  painted = [
    speak.paint_batch(
      talker, *(stack[n][i : i + batch] for n in ('rendering', 'emotion', 'latent'))
    )
    for i in study.watch('painting', range(0, len(found), batch))
  ]
  truth, size = stack['image'], talker.portrait.module.output_size
  noise = np.random.default_rng(0).integers(0, 256, truth.shape, dtype=np.uint8)
  return {
    TALKER: np.concatenate(painted),
    RENDERING: np.stack([cv2.resize(r, (size, size)) for r in stack['rendering']]),
    **_trained(study, np.stack([s['coefficients'] for s in found]), size),
    TRUTH: truth,
    BLURRED: np.stack([cv2.GaussianBlur(p, (0, 0), _BLUR * size) for p in truth]),
    NOISE: noise,
  }


@part
def shots(study: Study) -> list[dict[str, Any]]:
  """Held-out frames: clip, rendering, image, emotion, latent, landmarks, coefficients."""
  directory, batch = study.portrait_records, speak.batch_size()
  assert directory is not None  # see Metric.needs
  found = _shots(study.talker, directory, study.filmed)
  return found[: len(found) // batch * batch] or found  # one shape, one compilation


def clips(study: Study) -> list[str]:
  """The clip of each frame."""
  return [shot['clip'] for shot in shots(study)]


def _trained(study: Study, wanted: np.ndarray, size: int) -> dict[str, np.ndarray]:
  """For coefficients [N, E + M] the most similar training frame; and the mean one."""
  assert study.portrait_records is not None
  opened = source.open_records(study.portrait_records, 'train', with_frames=True)
  places, coefficients = [], []
  for i in range(len(opened)):
    record = opened[i]
    if record['subject'] == study.talker.subject and record['frames']:
      places += [(i, k) for k in clip_frames.tracked(record)]
      both = np.concatenate([record['expression'], record['motion']], 1)
      coefficients.append(both[clip_frames.tracked(record)])
  if not places:
    return {}
  known = np.concatenate(coefficients)
  scale = known.std(0) + 1e-2
  near = [int(np.square((known - w) / scale).sum(1).argmin()) for w in wanted]
  some = np.unique(np.linspace(0, len(places) - 1, _AVERAGED).astype(int))
  shown = _decoded(opened, {places[j] for j in (*near, *some)}, size)
  mean = np.mean([shown[places[j]] for j in some], 0).round().astype(np.uint8)
  return {
    NEAREST: np.stack([shown[places[j]] for j in near]),
    MEAN: np.broadcast_to(mean, (len(wanted), *mean.shape)),
  }


def _decoded(opened, places: set[tuple[int, int]], size: int) -> dict[tuple[int, int], np.ndarray]:
  """(clip, frame) -> photograph at the size of a portrait; a clip is read once."""
  found = {}
  for i in sorted({i for i, _ in places}):
    record = opened[i]
    for k in sorted(k for j, k in places if j == i):
      found[i, k] = windows.reduce(source.decode(record['frames'][k]), size, record['id'])
  return found


def _shots(
  talker: Talker, directory: str, filmed: frozenset[str], frames: int = 48, clips: int = 12
) -> list[dict[str, Any]]:
  """About so many frames, from clips that are evenly spread."""
  module, encode = talker.portrait.module, latents.Encoder(talker.expression, talker.speech_encoder)
  opened = Cached(source.open_records(directory, 'test', with_frames=True), megabytes=256)
  mine = [i for i in range(len(opened)) if opened[i]['id'] in filmed]
  if not mine:
    raise InputError(f'got no test clip of {talker.subject!r} in {directory!r}, expected some')
  mine = mine[:: max(1, len(mine) // clips)][:clips]
  each, chosen = -(-frames // len(mine)), []
  for i in mine:
    record, tracked = opened[i], clip_frames.tracked(opened[i])
    law = encode.posterior(record)
    items = clip_frames.Frames(opened, {i: tracked}, Normal(law.mean[None], law.deviation[None]))
    chosen_frames = range(len(items))[:: max(1, len(items) // each)][:each]
    size, shape = module.output_size, talker.person.identity
    points = regions.landmarks(talker.head, shape, record, tracked[list(chosen_frames)], size)
    for j, at in zip(chosen_frames, points, strict=True):
      item, k = items[j], tracked[j]
      chosen.append(
        {
          'clip': record['id'],
          'rendering': windows.reduce(item['rendering'], module.input_size, item['id']),
          'image': windows.reduce(item['photograph'], module.output_size, item['id']),
          'emotion': emotions.to_measure(record),
          'latent': item['latent'].mean,
          'landmarks': at,
          'coefficients': np.concatenate([record['expression'][k], record['motion'][k]]),
        }
      )
  return chosen
