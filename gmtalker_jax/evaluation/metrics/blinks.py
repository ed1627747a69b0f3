"""Do the eyes blink as people's do? How often, and for how long.

People at rest blink 10 to 25 times a minute, for 100 to 400 ms (Bentivoglio et al. 1997; Caffier et
al. 2003, with margins). Short clips hold few blinks: look at the interval.
"""

import numpy as np

from gmtalker_jax.data import schema
from gmtalker_jax.evaluation.metrics import motion
from gmtalker_jax.evaluation.metrics.metric import Metric
from gmtalker_jax.evaluation.performers import TALKER, TRUTH
from gmtalker_jax.evaluation.sample import Sample, ratio
from gmtalker_jax.evaluation.study import Study, part

_CLOSED, _MOVING = 0.5, 0.2  # of the way; a blink passes the first and lasts above the second
_LONGEST = 1.0  # seconds: longer, and the eyes are shut


def blinks(lids: np.ndarray) -> list[int]:
  """Frames that each blink lasts, of lids [T] from 0 open to 1 closed."""
  edges = np.diff(np.concatenate([[0], lids > _MOVING, [0]]))
  starts, ends = (np.flatnonzero(edges == way) for way in (1, -1))
  return [
    int(end - start)
    for start, end in zip(starts, ends, strict=True)
    if lids[start:end].max() > _CLOSED and end - start <= _LONGEST * schema.FRAME_RATE
  ]


@part
def counted(study: Study) -> dict[str, Sample]:
  """Per clip: blinks, minutes, milliseconds of them."""
  made = motion.spoken(study)
  people = [(record['id'], record['motion']) for record in study.moving]
  talks = [(clip, m) for clip, seeds in made for m in seeds]
  return {
    who: Sample.of([clip for clip, _ in clips], [_count(m) for _, m in clips])
    for who, clips in ((TALKER, talks), (TRUTH, people))
  }


def _count(moved: np.ndarray) -> list[float]:
  found = blinks(np.asarray(moved)[:, schema.BLINK].mean(1))
  frame = 1000 / schema.FRAME_RATE
  return [len(found), len(moved) / schema.FRAME_RATE / 60, sum(found) * frame]


METRICS = (
  Metric(
    name='blink_rate',
    samples=counted,
    combine=ratio,
    unit='blinks a minute',
    better=(10.0, 25.0),
    definition='blinks a minute of generated head motion, all seeds: both lids together pass half '
    'way; people at rest 10 to 25',
  ),
  Metric(
    name='blink_duration',
    samples=counted,
    combine=lambda row: ratio(row[..., [2, 0]]),
    unit='ms',
    better=(100.0, 400.0),
    definition='how long a blink keeps the lids more than a fifth closed, mean over blinks; people '
    '100 to 400 ms',
  ),
)
