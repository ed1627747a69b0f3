"""Are the pictures, as a whole, like photographs? Fréchet distances, each with its network named.

The field's FID has Inception, which is in no package: these are not it, and are called otherwise.
A few dozen frames span fewer dimensions than the features have: numbers of different counts of
frames cannot be compared, and are small for more frames.
"""

import functools
from collections.abc import Callable

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax.core.arrays import to_signed
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.evaluation import shots
from gmtalker_jax.evaluation.metrics.metric import Metric
from gmtalker_jax.evaluation.performers import TRUTH
from gmtalker_jax.evaluation.sample import Sample
from gmtalker_jax.evaluation.study import Study, part
from gmtalker_jax.io import identity, perceptual
from gmtalker_jax.models import alexnet

_SIZE = 128  # pixels that AlexNet sees; VGG16 took two thirds of a whole evaluation
_ALL = ('all',)  # a distance of sets has no clips

Features = Callable[[np.ndarray, np.ndarray], np.ndarray]


def frechet(a: np.ndarray, b: np.ndarray) -> float:
  """Squared Fréchet (2-Wasserstein) distance of the Gaussians of features [N, F] and [M, F].

  |mean a - mean b|^2 + tr(A + B - 2 (A B)^(1/2)), covariances over n - 1. The trace of the root is
  the nuclear norm of the product of the centred features: no root of a singular matrix is taken.
  """
  a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
  means = np.square(a.mean(0) - b.mean(0)).sum()
  x, y = ((s - s.mean(0)) / np.sqrt(max(len(s) - 1, 1)) for s in (a, b))
  mixed = np.linalg.svd(x @ y.T, compute_uv=False).sum()
  return float(max(means + np.square(x).sum() + np.square(y).sum() - 2 * mixed, 0.0))


def faces() -> Features:
  """MobileFaceNet's unit vectors [N, 192] of aligned faces."""
  embed = identity.load()

  def features(pictures: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    pairs = zip(pictures, landmarks, strict=True)
    return embed(np.stack([identity.align(p, at) for p, at in pairs]))

  return features


def frames() -> Features:
  """AlexNet's last activations of whole frames at 128 pixels, averaged over each [N, 256]."""
  weights, run = _alexnet()

  def features(pictures: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    del landmarks
    small = [cv2.resize(p, (_SIZE, _SIZE), interpolation=cv2.INTER_AREA) for p in pictures]
    return np.stack([np.asarray(run(weights, to_signed(p)[None]))[0] for p in small])

  return features


@functools.cache
def _alexnet():
  weights = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), perceptual.load_alexnet())
  return weights, jax.jit(lambda w, image: alexnet.features(w, image)[-1].mean((1, 2)))


def _entry(name: str, load: Callable[[], Features], what: str) -> Metric:
  @part
  def samples(study: Study) -> dict[str, Sample] | None:
    try:
      features = load()
    except InputError as missing:
      study.progress(f'no {name}: {missing}; left out')
      return None
    study.progress(name)
    shown, at = shots.pictures(study), np.stack([s['landmarks'] for s in shots.shots(study)])
    found = {who: features(p, at) for who, p in study.watch('looking', list(shown.items()))}
    rows = {who: frechet(f, found[TRUTH]) for who, f in found.items()}
    return {who: Sample(_ALL, np.array([[value]])) for who, value in rows.items()}

  return Metric(
    name=name,
    samples=samples,
    unit='squared distance',
    better='lower',
    truth=0.0,
    needs=('portrait_records',),
    definition=f'squared Fréchet distance of the Gaussians of {what}, portraits against '
    'photographs of the same held-out frames; not FID, whose network is Inception',
  )


METRICS = (
  _entry('frechet_mobilefacenet', faces, 'MobileFaceNet vectors of the aligned faces'),
  _entry('frechet_alexnet', frames, "AlexNet's last activations at 128 pixels, averaged over it"),
)
