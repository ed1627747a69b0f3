"""What the generators think of held-out clips: is real motion likely, is the emotion recognised?"""

import numpy as np

from gmtalker_jax.data import schema
from gmtalker_jax.evaluation.metrics.metric import Metric
from gmtalker_jax.evaluation.performers import TALKER
from gmtalker_jax.evaluation.sample import Sample
from gmtalker_jax.evaluation.study import Record, Records, Study, part
from gmtalker_jax.inference import likelihood

_STEP, _LONGEST = 16, 64  # frames: lengths are cut to a multiple, few compilations
_CLIPS, _DRAWS = 24, 16


@part
def log_likelihoods(study: Study) -> dict[str, Sample]:
  """Nats a frame of the recorded head motion of some held-out clips."""
  study.progress('likelihood of motion')
  some = study.moving[:: max(1, len(study.moving) // _CLIPS)][:_CLIPS]
  frames = _common(some)

  def of(record: Record) -> float:
    sound = np.asarray(record['speech'][: frames * schema.SPEECH_PER_FRAME], np.float32)
    motion = record['motion'][:frames]
    return likelihood.motion_log_likelihood(study.talker, motion, sound, _DRAWS) / frames

  values = [of(record) for record in study.watch('clips', some)]
  return {TALKER: Sample.of([record['id'] for record in some], values)}


@part
def recognised(study: Study) -> dict[str, Sample]:
  """Per held-out clip: 1 where its own emotion is the most responsible component."""
  study.progress('responsibilities')
  frames, rightly = _common(study.test), []
  for record in study.watch('clips', study.test):
    sound = np.asarray(record['speech'][: frames * schema.SPEECH_PER_FRAME], np.float32)
    found = likelihood.responsibilities(study.talker, record['expression'][:frames], sound)
    rightly.append(schema.EMOTIONS[int(np.argmax(found))] == record['emotion'])
  return {TALKER: Sample.of([record['id'] for record in study.test], rightly)}


def _common(records: Records) -> int:
  """Frames that all have, at most 64."""
  shortest = min(min(len(record['expression']) for record in records), _LONGEST)
  return shortest // _STEP * _STEP or shortest


METRICS = (
  Metric(
    name='motion_log_likelihood',
    samples=log_likelihoods,
    unit='nats a frame',
    better='higher',
    definition='log p(motion | speech) of held-out recorded head motion, in the units of the '
    f'motion, over the first {_LONGEST} frames (fewer where a clip is shorter) / frames; a lower '
    f'bound, importance weighted with {_DRAWS} draws (Burda et al. 2016), sigma 1',
  ),
  Metric(
    name='responsibility_accuracy',
    samples=recognised,
    unit='share',
    better='higher',
    baselines={'chance': 1 / len(schema.EMOTIONS)},
    definition='share of held-out clips whose recorded emotion is the mixture component with the '
    'largest responsibility p(e | z, w) at the posterior means (method 5.3)',
  ),
)
