"""Is the picture a photograph? Held-out frames, painted from the true coefficients."""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import dm_pix
import jax
import numpy as np

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import emotion as emotions
from gmtalker_jax.data import frames as clip_frames
from gmtalker_jax.data import source, windows
from gmtalker_jax.data.batches import Cached
from gmtalker_jax.data.latent import Normal
from gmtalker_jax.evaluation import regions
from gmtalker_jax.evaluation.metrics.metric import Metric
from gmtalker_jax.evaluation.study import Study, part
from gmtalker_jax.inference import latents, speak
from gmtalker_jax.inference.talker import Talker


class Pictures(NamedTuple):
  """The same held-out frames three times, uint8 [N, H, W, 3]."""

  photograph: np.ndarray
  portrait: np.ndarray  # as the talker paints it
  rendering: np.ndarray  # plain, enlarged to the size of the others


@part
def pictures(study: Study) -> Pictures:
  """Some frames of the talker's person.

  Raises:
    InputError: no held-out clip of that person, or one without frames.
  """
  study.progress('portrait')
  talker, batch = study.talker, speak.batch_size()
  stack = {name: np.stack([s[name] for s in shots(study)]) for name in shots(study)[0]}
  painted = [
    speak.paint_batch(
      talker, *(stack[n][i : i + batch] for n in ('rendering', 'emotion', 'latent'))
    )
    for i in study.watch('painting', range(0, len(stack['image']), batch))
  ]
  size = talker.portrait.module.output_size
  enlarged = np.stack([cv2.resize(r, (size, size)) for r in stack['rendering']])
  return Pictures(stack['image'], np.concatenate(painted), enlarged)


@part
def shots(study: Study) -> list[dict[str, np.ndarray]]:
  """Held-out frames of the talker's person: rendering, image, emotion, latent, landmarks."""
  directory, batch = study.portrait_records, speak.batch_size()
  assert directory is not None  # see Metric.needs
  found = _shots(study.talker, directory)
  return found[: len(found) // batch * batch] or found  # one shape, one compilation


def psnr(predicted: np.ndarray, truth: np.ndarray) -> float:
  """Mean PSNR in dB of uint8 pictures [N, H, W, 3]."""
  return float(np.mean(dm_pix.psnr(_unit(predicted), _unit(truth))))


def ssim(predicted: np.ndarray, truth: np.ndarray) -> float:
  """Mean SSIM of uint8 pictures [N, H, W, 3]."""
  pairs = zip(_unit(predicted), _unit(truth), strict=True)
  return float(np.mean([_ssim(a[None], b[None]) for a, b in pairs]))


# Picture by picture: a tenth of the time and little memory.
_ssim = jax.jit(dm_pix.ssim)


def _unit(images: np.ndarray) -> np.ndarray:
  return np.asarray(images, np.float32) / 255.0


def _shots(
  talker: Talker, directory: str, frames: int = 48, clips: int = 12
) -> list[dict[str, np.ndarray]]:
  """About so many frames, from clips that are evenly spread."""
  module, encode = talker.portrait.module, latents.Encoder(talker.expression, talker.speech_encoder)
  opened = Cached(source.open_records(directory, 'test', with_frames=True), megabytes=256)
  mine = [i for i in range(len(opened)) if opened[i]['subject'] == talker.subject]
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
    for k, at in zip(chosen_frames, points, strict=True):
      item = items[k]
      chosen.append(
        {
          'rendering': windows.reduce(item['rendering'], module.input_size, item['id']),
          'image': windows.reduce(item['photograph'], module.output_size, item['id']),
          'emotion': emotions.to_measure(record),
          'latent': item['latent'].mean,
          'landmarks': at,
        }
      )
  return chosen


def _compared(measure: Callable[[np.ndarray, np.ndarray], float], what: str):
  return lambda study: measure(getattr(pictures(study), what), pictures(study).photograph)


_portrait_psnr, _rendering_psnr = _compared(psnr, 'portrait'), _compared(psnr, 'rendering')

METRICS = (
  Metric(
    name='portrait_psnr_gain_db',
    compute=lambda study: _portrait_psnr(study) - _rendering_psnr(study),
    unit='dB',
    better='higher',
    baselines={'plain rendering': 0.0},
    needs=('portrait_records',),
    definition='PSNR of the portrait against the photograph minus PSNR of the plain '
    'rendering, held-out frames',
  ),
  Metric(
    name='portrait_psnr_db',
    compute=_portrait_psnr,
    unit='dB',
    better='higher',
    baselines={'plain rendering': 'rendering_psnr_db'},
    needs=('portrait_records',),
    definition='PSNR, RGB in 0..1, mean over frames',
  ),
  Metric(
    name='rendering_psnr_db',
    compute=_rendering_psnr,
    unit='dB',
    better='higher',
    needs=('portrait_records',),
    definition='portrait_psnr_db of the plain rendering, enlarged to the size of the portrait',
  ),
  Metric(
    name='portrait_ssim',
    compute=_compared(ssim, 'portrait'),
    unit='index',
    better='higher',
    truth=1.0,
    baselines={'plain rendering': 'rendering_ssim'},
    needs=('portrait_records',),
    definition='SSIM with an 11x11 Gaussian window of sigma 1.5 (dm-pix), mean over frames',
  ),
  Metric(
    name='rendering_ssim',
    compute=_compared(ssim, 'rendering'),
    unit='index',
    better='higher',
    needs=('portrait_records',),
    definition='portrait_ssim of the plain rendering, enlarged to the size of the portrait',
  ),
)
