"""Is the emotion that was asked for the one that is seen? A judge of the truth names it."""

from gmtalker_jax.data import schema
from gmtalker_jax.evaluation.classifier import EmotionClassifier
from gmtalker_jax.evaluation.metrics.metric import Metric
from gmtalker_jax.evaluation.performers import TALKER, TRUTH, Performance, sampled
from gmtalker_jax.evaluation.sample import Sample
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


def _named_rightly(study: Study) -> dict[str, Sample]:
  """Of everybody, per clip: 1 where the judge names the emotion."""

  def rightly(shown: Performance) -> list[bool]:
    pairs = zip(judge(study).predict(shown.expression), shown.records, strict=True)
    return [name == record['emotion'] for name, record in pairs]

  return sampled(rightly)(study)


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
    samples=_named_rightly,
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
    samples=lambda study: {TALKER: _named_rightly(study)[TRUTH]},
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
