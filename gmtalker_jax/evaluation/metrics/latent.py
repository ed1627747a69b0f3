"""The space of emotions: are clips of one emotion together, and is the way between two even?"""

from collections.abc import Callable

import numpy as np

from gmtalker_jax.data import schema
from gmtalker_jax.evaluation import embedding
from gmtalker_jax.evaluation.metrics.metric import Metric
from gmtalker_jax.evaluation.study import Study, part
from gmtalker_jax.inference import speak, timeline


@part
def points(study: Study) -> embedding.Embedding:
  """The held-out clips as points."""
  study.progress('latent space')
  return embedding.embed(study.talker, study.test)


@part
def paths(study: Study, steps: int = 8) -> list[np.ndarray]:
  """From neutral to each emotion the mean standardised expression [steps + 1, E] on the line."""
  study.progress('path between emotions')
  record = study.test[0]
  frames = min(len(record['expression']), speak.BUCKET)
  standardise = study.talker.expression.statistics.expression.normalize

  def mean(name: str, t: float) -> np.ndarray:
    emotion = timeline.parse(name, t, frames)
    return standardise(study.generate(record, record['speech'][: 2 * frames], emotion, 0)).mean(0)

  return [
    np.stack([mean(name, float(t)) for t in np.linspace(0.0, 1.0, steps + 1)])
    for name in schema.EMOTIONS
    if name != 'neutral'
  ]


def path_length(features: np.ndarray) -> float:
  """EPPL of features [N + 1, F] at equal steps of a path from t = 0 to 1."""
  return float((_steps(features) ** 2).mean() * (len(features) - 1) ** 2)


def path_variance(features: np.ndarray) -> float:
  """EPDV of features [N + 1, F] at equal steps of a path; 0 = every step is as long."""
  steps = _steps(features)
  return float(np.var(steps / max(steps.mean(), 1e-12)))


def _steps(features: np.ndarray) -> np.ndarray:
  return np.linalg.norm(np.diff(features, axis=0), axis=-1)


def _over_paths(measure: Callable[[np.ndarray], float]) -> Callable[[Study], float]:
  return lambda study: float(np.mean([measure(path) for path in paths(study)]))


METRICS = (
  Metric(
    name='eppl',
    compute=_over_paths(path_length),
    unit='squared standard deviations',
    better='lower',
    definition='emotion path length in coefficient space: E[d(t, t + h) / h^2] on the line between '
    'two emotions, d = squared distance of the mean standardised expression (method 5.3)',
  ),
  Metric(
    name='epdv',
    compute=_over_paths(path_variance),
    unit='ratio',
    better='lower',
    definition='variance of the step lengths on that line after division by their mean; '
    '0 = uniform',
  ),
  Metric(
    name='silhouette',
    compute=lambda study: points(study).silhouette,
    unit='index',
    better='higher',
    definition='silhouette of the posterior means z_gm by emotion, -1..1',
  ),
  Metric(
    name='knn_purity',
    compute=lambda study: points(study).knn_purity,
    unit='share',
    better='higher',
    baselines={'chance': 1 / len(schema.EMOTIONS)},
    definition='share of the 5 nearest neighbours of a posterior mean that have its emotion; '
    'chance is 1/8',
  ),
)
