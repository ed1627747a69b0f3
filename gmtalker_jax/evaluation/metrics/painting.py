"""The painter alone: held-out renderings in every emotion, judged by what we did not make."""

from typing import NamedTuple

import cv2
import numpy as np

from gmtalker_jax.data import schema, source
from gmtalker_jax.evaluation import regions, shots
from gmtalker_jax.evaluation.metrics.metric import Metric
from gmtalker_jax.evaluation.performers import TALKER
from gmtalker_jax.evaluation.portrait_distance import lpips
from gmtalker_jax.evaluation.sample import Sample
from gmtalker_jax.evaluation.study import Study, part
from gmtalker_jax.inference import latents, reenact, speak
from gmtalker_jax.io import identity

DRAWN = 'drawn'  # neutral, with a latent drawn at full temperature
_PERIODS = (2, 4, 8)  # pixels: the last three upsamplings of the painter
_RUN = 75  # consecutive frames
_STILL = 2.0  # grey levels that the truth's backdrop moves by at most (standard deviation)


class Painted(NamedTuple):
  """The same N held-out frames."""

  photograph: np.ndarray  # uint8 [N, H, W, 3]
  landmarks: np.ndarray  # [N, 478, 2] pixels
  by_emotion: dict[str, np.ndarray]  # schema.EMOTIONS and DRAWN -> uint8 [N, H, W, 3]


@part
def painted(study: Study) -> Painted:
  """Frames of the talker's person, painted as `speak` would in each emotion."""
  study.progress('portrait in every emotion')
  talker, found = study.talker, shots.shots(study)
  stack = {name: np.stack([s[name] for s in found]) for name in ('rendering', 'image')}
  mixtures = latents.Encoder(talker.expression, talker.speech_encoder).mixtures()
  rng = np.random.default_rng(0)

  def paint(emotion: np.ndarray, temperature: float) -> np.ndarray:
    z = np.stack([mixtures.draw(emotion, temperature, rng) for _ in found])
    weights, batch = np.tile(emotion, (len(found), 1)), speak.batch_size()
    parts = [
      speak.paint_batch(talker, *(x[i : i + batch] for x in (stack['rendering'], weights, z)))
      for i in range(0, len(found), batch)
    ]
    return np.concatenate(parts)

  eye = np.eye(len(schema.EMOTIONS), dtype=np.float32)
  wanted = [(name, eye[k], 0.0) for k, name in enumerate(schema.EMOTIONS)]
  wanted.append((DRAWN, eye[schema.NEUTRAL], 1.0))
  made = {name: paint(*how) for name, *how in study.watch('emotions', wanted)}
  return Painted(stack['image'], np.stack([s['landmarks'] for s in found]), made)


def _neutral(study: Study) -> np.ndarray:
  return painted(study).by_emotion['neutral']


def _lpips(study: Study) -> dict[str, Sample]:
  """Of everybody's frames; the talker's are those painted as neutral."""
  made, clips = painted(study), shots.clips(study)
  rows = shots.pictures(study) | {TALKER: _neutral(study)}
  return {who: Sample.of(clips, lpips(p, made.photograph)) for who, p in rows.items()}


def _psnr_by_emotion(study: Study) -> dict[str, float]:
  made = painted(study)
  still = regions.still(made.landmarks, made.photograph.shape[1])
  return {name: _psnr(p, made.photograph, still) for name, p in made.by_emotion.items()}


def _psnr(predicted: np.ndarray, truth: np.ndarray, where: np.ndarray) -> float:
  error = np.square(predicted.astype(np.float32) - truth).mean(-1)
  mean = (error * where).sum((1, 2)) / where.sum((1, 2))
  return float(np.mean(10 * np.log10(255**2 / np.maximum(mean, 1e-3))))


def _spread(study: Study) -> float:
  values = _psnr_by_emotion(study)
  return values['neutral'] - min(values.values())


def grid_energy(pictures: np.ndarray) -> float:
  """Energy of uint8 pictures [N, H, W, 3] that repeats every 2, 4 or 8 pixels, without the mean."""
  grey = pictures.astype(np.float32).mean(-1)
  size = grey.shape[1]
  window = np.hanning(size).astype(np.float32)
  grey = (grey - grey.mean((1, 2), keepdims=True)) * window[:, None] * window[None]
  power = np.square(np.abs(np.fft.fft2(grey))).mean(0)
  steps = np.arange(0, size, size // max(_PERIODS))
  lattice = power[np.ix_(steps, steps)].copy()
  lattice[0, 0] = 0.0
  return float(lattice.sum())


def _grid_ratio(study: Study) -> float:
  made = painted(study)
  truth = grid_energy(made.photograph)
  worst = max(grid_energy(made.by_emotion[name]) for name in schema.EMOTIONS)
  return worst / truth


def _identity(study: Study) -> float | None:
  """The worst emotion's mean likeness; None where the network is not in place."""
  if not identity.is_there():
    study.progress('no identity: run `make carriers` for its network; left out')
    return None
  return min(_likeness(study).values())


@part
def _likeness(study: Study) -> dict[str, float]:
  if not identity.is_there():
    return {}
  made, embed = painted(study), identity.load()

  def vectors(pictures: np.ndarray) -> np.ndarray:
    pairs = zip(pictures, made.landmarks, strict=True)
    return embed(np.stack([identity.align(p, at) for p, at in pairs]))

  truth = vectors(made.photograph)
  painted_as = study.watch('likeness', list(made.by_emotion.items()))
  return {name: float((vectors(p) * truth).sum(1).mean()) for name, p in painted_as}


def _likeness_truth(study: Study) -> float | None:
  """Held-out photographs of the person against each other."""
  if not identity.is_there():
    return None
  made, embed = painted(study), identity.load()
  pairs = zip(made.photograph, made.landmarks, strict=True)
  found = embed(np.stack([identity.align(p, at) for p, at in pairs]))
  return float((found @ found.T)[np.triu_indices(len(found), 1)].mean())


def _flicker(study: Study) -> float | None:
  """None where nothing stands still in the clip."""
  study.progress('flicker')
  directory = study.portrait_records
  assert directory is not None  # see Metric.needs
  opened = source.open_records(directory, 'test', with_frames=True)
  mine = [i for i in range(len(opened)) if opened[i]['id'] in study.filmed]
  record = opened[max(mine, key=lambda i: len(opened[i]['frames']))]
  count = min(_RUN, len(record['frames']))
  frames = reenact.beside(study.talker, record)
  pairs = [next(frames) for _ in study.watch('painting', range(count))]
  half = pairs[0].shape[1] // 2
  truth, made = (np.stack([side(f) for f in pairs]).astype(np.float32).mean(-1)
                 for side in (lambda f: f[:, :half], lambda f: f[:, half:]))  # fmt: skip
  head = np.any([source.decode(r).max(-1) > 0 for r in record['renderings'][:count]], 0)
  head = cv2.resize(head.astype(np.uint8), (half, half), interpolation=cv2.INTER_NEAREST) > 0
  still = (truth.std(0) < _STILL) & ~head
  if still.mean() < 0.01:
    return None
  second = [np.abs(np.diff(x[:, still], n=2, axis=0)).mean() for x in (made, truth)]
  return float(second[0] / max(second[1], 1e-3))


METRICS = (
  Metric(
    name='portrait_lpips',
    samples=_lpips,
    unit='distance',
    better='lower',
    truth=0.0,
    needs=('portrait_records',),
    definition='LPIPS (AlexNet, v0.1; no network here was trained on it) of held-out frames, '
    'painted as neutral from their true coefficients, against the photographs',
  ),
  Metric(
    name='portrait_psnr_spread_db',
    compute=_spread,
    unit='dB',
    better='lower',
    truth=0.0,
    needs=('portrait_records',),
    definition='PSNR outside mouth, brows and eyes as neutral minus that of the worst emotion, or '
    'of a latent drawn at full temperature, on the same renderings; all are in '
    'portrait_psnr_by_emotion',
    tables={'portrait_psnr_by_emotion': _psnr_by_emotion},
  ),
  Metric(
    name='grid_energy_ratio',
    compute=_grid_ratio,
    unit='ratio',
    better=(0.0, 1.2),
    truth=1.0,
    needs=('portrait_records',),
    definition='energy of the picture that repeats every 2, 4 or 8 pixels (the lattice of the '
    'Fourier transform under a Hann window, without the mean), portrait over photograph; the worst '
    'of the eight emotions',
  ),
  Metric(
    name='identity_similarity',
    compute=_identity,
    unit='cosine',
    better='higher',
    truth='identity_similarity_truth',
    needs=('portrait_records',),
    definition='cosine of MobileFaceNet vectors of portrait and photograph, mean over held-out '
    'frames, the worst of eight emotions and a drawn latent; identity_by_emotion has all',
    tables={'identity_by_emotion': _likeness},
  ),
  Metric(
    name='identity_similarity_truth',
    compute=_likeness_truth,
    unit='cosine',
    better='higher',
    needs=('portrait_records',),
    definition='the same cosine between held-out photographs of the person',
  ),
  Metric(
    name='flicker_ratio',
    compute=_flicker,
    unit='ratio',
    better=(0.0, 1.5),
    truth=1.0,
    needs=('portrait_records',),
    definition='mean absolute second difference in time where the photograph stands still and the '
    'rendering shows nothing, portrait over photograph, up to 75 frames of the longest held-out '
    'clip',
  ),
)
