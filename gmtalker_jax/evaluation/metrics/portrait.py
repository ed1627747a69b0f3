"""Is the picture a photograph? Held-out frames, painted from the true coefficients."""

from collections.abc import Callable

import dm_pix
import jax
import numpy as np

from gmtalker_jax.evaluation import shots
from gmtalker_jax.evaluation.metrics.metric import Metric
from gmtalker_jax.evaluation.performers import TALKER, TRUTH
from gmtalker_jax.evaluation.sample import Sample
from gmtalker_jax.evaluation.study import Study, part

MOST = 100.0  # dB: of equal pictures


def psnr(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
  """PSNR [N] in dB of uint8 pictures [N, H, W, 3], at most 100."""
  error = np.square(_unit(predicted) - _unit(truth)).mean((1, 2, 3), dtype=np.float64)
  return 10 * np.log10(1 / np.maximum(error, 10 ** (-MOST / 10)))


def ssim(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
  """SSIM [N] of uint8 pictures [N, H, W, 3]."""
  pairs = zip(_unit(predicted), _unit(truth), strict=True)
  return np.array([float(_ssim(a[None], b[None])[0]) for a, b in pairs])


# Picture by picture: a tenth of the time and little memory.
_ssim = jax.jit(dm_pix.ssim)


def _unit(images: np.ndarray) -> np.ndarray:
  return np.asarray(images, np.float32) / 255.0


def _compared(measure: Callable[[np.ndarray, np.ndarray], np.ndarray]):
  """Of everybody's frames against the photographs: the mean in each clip."""

  @part
  def samples(study: Study) -> dict[str, Sample]:
    shown, clips = shots.pictures(study), shots.clips(study)
    return {who: Sample.of(clips, measure(p, shown[TRUTH])) for who, p in shown.items()}

  return samples


_psnr, _ssims = _compared(psnr), _compared(ssim)


def _gain(study: Study) -> dict[str, Sample]:
  """PSNR of everybody beside that of the plain rendering."""
  found = _psnr(study)
  plain = found[shots.RENDERING].values
  return {TALKER: Sample(found[TALKER].clips, np.hstack([found[TALKER].values, plain]))}


def _rendering(of: Callable[[Study], dict[str, Sample]]):
  return lambda study: {TALKER: of(study)[shots.RENDERING]}


METRICS = (
  Metric(
    name='portrait_psnr_gain_db',
    samples=_gain,
    combine=lambda row: row[..., 0] - row[..., 1],
    unit='dB',
    better='higher',
    baselines={'plain rendering': 0.0},
    needs=('portrait_records',),
    definition='PSNR of the portrait against the photograph minus PSNR of the plain '
    'rendering, held-out frames',
  ),
  Metric(
    name='portrait_psnr_db',
    samples=_psnr,
    unit='dB',
    better='higher',
    baselines={'plain rendering': 'rendering_psnr_db'},
    needs=('portrait_records',),
    truth=MOST,
    definition='PSNR, RGB in 0..1, mean over frames, then over clips; equal pictures have 100',
  ),
  Metric(
    name='rendering_psnr_db',
    samples=_rendering(_psnr),
    unit='dB',
    better='higher',
    needs=('portrait_records',),
    definition='portrait_psnr_db of the plain rendering, enlarged to the size of the portrait',
  ),
  Metric(
    name='portrait_ssim',
    samples=_ssims,
    unit='index',
    better='higher',
    truth=1.0,
    baselines={'plain rendering': 'rendering_ssim'},
    needs=('portrait_records',),
    definition='SSIM with an 11x11 Gaussian window of sigma 1.5 (dm-pix), mean over frames, then '
    'over clips',
  ),
  Metric(
    name='rendering_ssim',
    samples=_rendering(_ssims),
    unit='index',
    better='higher',
    needs=('portrait_records',),
    definition='portrait_ssim of the plain rendering, enlarged to the size of the portrait',
  ),
)
