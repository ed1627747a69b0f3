"""Is the emotion that was asked for the one that is seen? A judge of the truth names it."""

import numpy as np

from gmtalker_jax.data import schema
from gmtalker_jax.evaluation.classifier import EmotionClassifier
from gmtalker_jax.evaluation.metrics.metric import Metric
from gmtalker_jax.evaluation.study import Study, part
from gmtalker_jax.inference import timeline

_GUESSING = {'guessing': 1 / len(schema.EMOTIONS)}


@part
def judge(study: Study) -> EmotionClassifier:
  """A classifier that has seen the true training clips."""
  study.progress('emotion')
  return EmotionClassifier(
    [r['expression'] for r in study.train], [r['emotion'] for r in study.train]
  )


@part
def named(study: Study) -> list[str]:
  """What the judge sees in each generated clip."""
  return judge(study).predict(study.generated)


def _labels(study: Study) -> list[str]:
  return [record['emotion'] for record in study.test]


def _accuracy(study: Study) -> float:
  pairs = zip(named(study), _labels(study), strict=True)
  return float(np.mean([a == b for a, b in pairs]))


def _accuracy_truth(study: Study) -> float:
  return judge(study).accuracy([r['expression'] for r in study.test], _labels(study))


def _accuracy_full(study: Study, sounds: int = 6) -> float:
  generated, wanted = [], []
  for i, record in enumerate(study.test[:: max(1, len(study.test) // sounds)][:sounds]):
    for name in schema.EMOTIONS:
      emotion = timeline.parse(name, 1.0, len(record['expression']))
      generated.append(study.generate(record, record['speech'], emotion, i))
      wanted.append(name)
  return judge(study).accuracy(generated, wanted)


def _confusion(study: Study) -> dict[str, dict[str, int]]:
  """How often each intended emotion was named as each."""
  pairs = list(zip(_labels(study), named(study), strict=True))
  return {a: {b: pairs.count((a, b)) for b in schema.EMOTIONS} for a in schema.EMOTIONS}


METRICS = (
  Metric(
    name='emotion_accuracy',
    compute=_accuracy,
    unit='share',
    better='higher',
    truth='emotion_accuracy_truth',
    baselines=_GUESSING,
    definition='share of generated clips whose emotion a classifier names rightly; it is '
    'trained on true coefficients of the training split only; weights as recorded (level a is a/3)',
    tables={'emotion_confusion': _confusion},
  ),
  Metric(
    name='emotion_accuracy_truth',
    compute=_accuracy_truth,
    unit='share',
    better='higher',
    baselines=_GUESSING,
    definition='the same classifier on the true held-out clips: the ceiling',
  ),
  Metric(
    name='emotion_accuracy_full',
    compute=_accuracy_full,
    unit='share',
    better='higher',
    baselines=_GUESSING,
    definition='as emotion_accuracy, each held-out sound in all eight emotions at full intensity',
  ),
)
