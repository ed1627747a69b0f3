"""Who moves the face: the talker, the truth, and those that anybody could send in its place.

They are the rows of the table. Two of them are there to be found out: the truth a little late, and
noise; a metric that does not tell them from the truth is no metric (`checks.py`).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gmtalker_jax.data import schema
from gmtalker_jax.evaluation import baselines
from gmtalker_jax.evaluation.sample import Sample
from gmtalker_jax.evaluation.study import Record, Records, Study, part

TALKER, TRUTH, NOISE = 'talker', 'truth', 'noise'
SHUFFLED, LATE = 'talker, shuffled sound', 'truth, 0.2 s late'
MEAN, RIDGE, NEAREST = 'mean face', 'ridge regression', 'nearest training clip'
_LATE = 5  # frames
_TURNS = (0.25, 0.5, 0.75)  # of a clip's length


class Performance(NamedTuple):
  """Expressions [T, E], each for the sound of the record beside it; a record may come again."""

  expression: list[np.ndarray]
  records: list[Record]


@part
def performances(study: Study) -> dict[str, Performance]:
  """Everybody's expression for the held-out clips."""
  study.progress('expression')
  train, test = study.heard
  clips, rng = list(test), np.random.default_rng(0)
  wrong = [(i, rows) for i in range(len(clips)) for rows in _wrong_sounds(study, i)]
  ridge, nearest, mean = (
    baselines.Ridge(train),
    baselines.Nearest(train),
    baselines.mean_face(train),
  )
  truth = [clip['expression'] for clip in clips]
  by = {
    TALKER: study.generated,
    MEAN: [np.broadcast_to(mean, e.shape) for e in truth],
    RIDGE: [ridge.predict(clip['speech']) for clip in clips],
    NEAREST: [nearest.perform(clip) for clip in clips],
    TRUTH: truth,
    LATE: [np.roll(e, _LATE, 0) for e in truth],
    NOISE: [rng.uniform(size=e.shape).astype(np.float32) for e in truth],
  }
  found = {who: Performance(expressions, clips) for who, expressions in by.items()}
  shuffled = [study.express(clips[i], rows, i) for i, rows in wrong]
  return found | {SHUFFLED: Performance(shuffled, [clips[i] for i, _ in wrong])}


def sampled(measure: Callable[[Performance], np.ndarray | list]):
  """A function of a performance, a value or a row per record, as samples of everybody."""

  def samples(study: Study) -> dict[str, Sample]:
    return {
      who: Sample.of([r['id'] for r in shown.records], measure(shown))
      for who, shown in performances(study).items()
    }

  return samples


def _wrong_sounds(study: Study, i: int) -> list[np.ndarray]:
  """Rows [2T, D] of what held-out clip `i` does not say.

  Another clip's, where there are labelled ones; who was only filmed for a portrait may have one
  held-out clip, which is then turned in time: the same voice, loudness and pace elsewhere.
  """
  clips = study.heard[1]
  rows = np.asarray(clips[i]['speech'])
  if study.records is not None:
    return [baselines.fitted(clips[_partner(clips, i)]['speech'], len(rows))]
  frames = len(rows) // schema.SPEECH_PER_FRAME
  return [np.roll(rows, schema.SPEECH_PER_FRAME * round(turn * frames), 0) for turn in _TURNS]


def _partner(test: Records, i: int) -> int:
  """Another clip, of the same emotion where there is one: only the sound should be wrong."""
  same = [j for j, r in enumerate(test) if r['emotion'] == test[i]['emotion'] and j != i]
  return same[i % len(same)] if same else (i + 1) % len(test)
