"""Which emotion do others see? The talker speaks in each, and networks that we did not make look.

The classifier of `emotion.py` learnt from the same truth as the talker; these judges learnt from
photographs. What they say of the rendering tells whether the painter lost an emotion, and what
they say of recorded clips is all that can be asked of a talker.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from gmtalker_jax import speech
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema, source
from gmtalker_jax.evaluation import regions
from gmtalker_jax.evaluation.metrics.metric import Metric
from gmtalker_jax.evaluation.performers import TALKER
from gmtalker_jax.evaluation.sample import Sample
from gmtalker_jax.evaluation.study import Study, part
from gmtalker_jax.face.render import render_frames
from gmtalker_jax.inference import speak, timeline
from gmtalker_jax.io import emotion_judges
from gmtalker_jax.io.emotion_judges import Judge
from gmtalker_jax.types import Coefficients

_SOUNDS, _LONGEST = 6, 60  # held-out sounds, and frames of each
_APART = 5  # frames between those that are judged
_RECORDED = 5  # clips of each emotion at most
_FULL = 3  # the level at which an emotion is fully shown
_ASKED = tuple(e for e in schema.EMOTIONS if e in emotion_judges.CLASSES)

Table = dict[str, dict[str, Any]]


class Shown(NamedTuple):
  """Frames of a clip with the emotion that it is to show."""

  emotion: str
  sound: int  # clips of the same sound have the same number; a recorded clip has its own
  pictures: np.ndarray  # uint8 [N, H, W, 3]
  landmarks: np.ndarray  # [N, 478, 2] pixels


class Verdict(NamedTuple):
  """What a judge sees in a clip."""

  emotion: str
  sound: int
  probabilities: np.ndarray  # [classes] mean over its frames


@part
def spoken(study: Study) -> dict[str, list[Shown]]:
  """Held-out sounds, spoken in every emotion that a judge may know: 'portrait', 'rendering'."""
  study.progress('emotions that others see')
  talker, sounds = study.talker, _sounds(study)
  inner, outer = talker.portrait.module.input_size, talker.portrait.module.output_size
  motions = [speak.generate_motion(talker, rows, i) for i, rows in enumerate(sounds)]
  motions = [speak.shape_motion(m, talker.motion.statistics.motion.mean) for m in motions]
  portraits, renderings = [], []
  pairs = list(itertools.product(range(len(sounds)), _ASKED))
  for i, name in study.watch('speaking', pairs):
    rows, motion = sounds[i], motions[i]
    frames = np.arange(0, len(motion), _APART)
    weights = timeline.parse(name, 1.0, len(motion))
    expression, latent = speak.generate_expression(talker, rows, weights, i)
    some = Coefficients(jnp.asarray(expression[frames]), jnp.asarray(motion[frames]))
    rendered = render_frames(talker.head, talker.person, some, inner, speak.batch_size())
    painted = _paint(study, rendered, weights[frames], latent[frames])
    record = {'expression': expression, 'motion': motion}
    at = regions.landmarks(talker.head, talker.person.identity, record, frames, outer)
    portraits.append(Shown(name, i, painted, at))
    renderings.append(Shown(name, i, rendered, at * (inner / outer)))
  return {'portrait': portraits, 'rendering': renderings}


@part
def recorded(study: Study) -> list[Shown]:
  """Clips of the talker's person that are labelled, at full intensity; none where none is."""
  found: dict[str, list[Shown]] = {name: [] for name in _ASKED}
  for number, record in enumerate(_mine(study, ('test', 'train'), with_frames=True)):
    name = record['emotion']
    full = record['level'] >= _FULL or name == schema.EMOTIONS[schema.NEUTRAL]
    if name in found and full and record['frames'] and len(found[name]) < _RECORDED:
      frames = np.flatnonzero(record['valid'])[::_APART]
      pictures = np.stack([source.decode(record['frames'][k]) for k in frames])
      at = regions.landmarks(
        study.talker.head, record['identity'], record, frames, pictures.shape[1]
      )
      found[name].append(Shown(name, number, pictures, at))
  return [shown for clips in found.values() for shown in clips]


def named(judge: Judge, verdicts: Sequence[Verdict]) -> Sample:
  """By sound: the share of clips whose emotion the judge names."""
  right = [judge.classes[v.probabilities.argmax()] == v.emotion for v in verdicts]
  return Sample.of([str(v.sound) for v in verdicts], right)


def moved(judge: Judge, verdicts: Sequence[Verdict]) -> Sample | None:
  """By sound: the share of clips that show their emotion more than the sound spoken neutrally does.

  None where nothing but neutral is asked for.
  """
  neutral = schema.EMOTIONS[schema.NEUTRAL]
  rest = {v.sound: v.probabilities for v in verdicts if v.emotion == neutral}
  others = [v for v in verdicts if v.emotion != neutral]
  at = [judge.classes.index(v.emotion) for v in others]
  more = [v.probabilities[k] > rest[v.sound][k] for v, k in zip(others, at, strict=True)]
  return Sample.of([str(v.sound) for v in others], more) if others else None


def confusion(judge: Judge, verdicts: Sequence[Verdict]) -> Table:
  """How many clips of each emotion were named as each; empty without a clip."""
  if not verdicts:
    return {}
  pairs = [(v.emotion, judge.classes[v.probabilities.argmax()]) for v in verdicts]
  return {a: {b: pairs.count((a, b)) for b in _ASKED} for a in _ASKED}


def probability(judge: Judge, verdicts: Sequence[Verdict]) -> Table:
  """The mean probability of each class over the clips of each emotion."""
  table: Table = {}
  for name in _ASKED:
    mine = [v.probabilities for v in verdicts if v.emotion == name]
    if mine:
      mean = dict(zip(judge.classes, np.mean(mine, 0), strict=True))
      table[name] = {b: round(float(mean[b]), 3) for b in _ASKED}
  return table


def _sounds(study: Study) -> list[np.ndarray]:
  """Speech rows [2T, D] of a few stretches of what the person says in the held-out clips."""
  longest = _LONGEST * schema.SPEECH_PER_FRAME
  found = []
  for record in _mine(study, ('test',)):
    heard, wanted = record['speech_encoder'], study.talker.speech_encoder
    if not speech.same(heard, wanted):
      raise InputError(f'got records on {heard!r}, expected {wanted!r} as the talker; '
                       'prepare again')  # fmt: skip
    rows = np.asarray(record['speech'], np.float32)
    whole = [rows[i : i + longest] for i in range(0, len(rows), longest)]
    found += [r for r in whole if len(r) == longest] or whole[:1]
  if not found:
    raise InputError(
      f'got no test clip of {study.talker.subject!r} in {study.portrait_records!r}, expected some'
    )
  return [found[i] for i in np.unique(np.linspace(0, len(found) - 1, _SOUNDS).astype(int))]


def _mine(
  study: Study, splits: Sequence[str], with_frames: bool = False
) -> Iterator[Mapping[str, Any]]:
  """Records of the talker's person, one at a time."""
  assert study.portrait_records is not None  # see Metric.needs
  for split in splits:
    opened = source.open_records(study.portrait_records, split, with_frames=with_frames)
    for record in (opened[i] for i in range(len(opened))):
      mine = record['subject'] == study.talker.subject
      if mine and (split != 'test' or record['id'] in study.filmed):
        yield record


def _paint(
  study: Study, rendered: np.ndarray, emotion: np.ndarray, latent: np.ndarray
) -> np.ndarray:
  batch = speak.batch_size()
  padded = -(-len(rendered) // batch) * batch  # one shape, one compilation
  index = np.minimum(np.arange(padded), len(rendered) - 1).reshape(-1, batch)
  parts = [speak.paint_batch(study.talker, rendered[i], emotion[i], latent[i]) for i in index]
  return np.concatenate(parts)[: len(rendered)]


def _look(study: Study, judge: Judge, clips: Sequence[Shown]) -> list[Verdict]:
  return [
    Verdict(clip.emotion, clip.sound, judge.look(clip.pictures, clip.landmarks).mean(0))
    for clip in study.watch('judging', clips)
  ]


class _Panel(NamedTuple):
  """A judge, and all that it says about a study; None where its network is not in place."""

  judge: Judge
  portrait: list[Verdict]
  rendering: list[Verdict]
  recorded: list[Verdict]


def _metrics(name: str, load: Callable[[], Judge], what: str) -> tuple[Metric, ...]:
  """The numbers of one judge."""

  @part
  def panel(study: Study) -> _Panel | None:
    try:
      judge = load()
    except InputError as missing:
      study.progress(f'no emotion_{name}: {missing}; left out')
      return None
    clips = spoken(study)
    shown = (clips['portrait'], clips['rendering'], recorded(study))
    looks = [_look(study, judge, c) for c in shown]
    return _Panel(judge, *looks)

  def of(measure: Callable[[Judge, Sequence[Verdict]], Any], where: str):
    def table(study: Study) -> Any:
      found = panel(study)
      return {} if found is None else measure(found.judge, getattr(found, where))

    return table

  def by(measure: Callable[[Judge, Sequence[Verdict]], Sample | None], where: str):
    def samples(study: Study) -> dict[str, Sample] | None:
      found = panel(study)
      verdicts = getattr(found, where) if found else []
      sample = measure(found.judge, verdicts) if found and verdicts else None
      return None if sample is None else {TALKER: sample}

    return samples

  return (
    Metric(
      name=f'emotion_{name}',
      samples=by(named, 'portrait'),
      unit='share',
      better='higher',
      truth=f'emotion_{name}_truth',
      baselines={'plain rendering': f'emotion_{name}_rendering', 'guessing': 1 / len(_ASKED)},
      needs=('portrait_records',),
      definition=f'share of spoken clips whose emotion is named by {what}: up to {_SOUNDS} '
      f'held-out sounds of up to {_LONGEST / schema.FRAME_RATE:g} s in each emotion but contempt, '
      f'which it does not know, at full intensity; mean over every {_APART}th frame',
      tables={
        f'emotion_{name}_confusion': of(confusion, 'portrait'),
        f'emotion_{name}_probability': of(probability, 'portrait'),
      },
    ),
    Metric(
      name=f'emotion_{name}_rendering',
      samples=by(named, 'rendering'),
      unit='share',
      better='higher',
      needs=('portrait_records',),
      definition=f'emotion_{name} of the renderings that were painted',
      tables={f'emotion_{name}_rendering_probability': of(probability, 'rendering')},
    ),
    Metric(
      name=f'emotion_{name}_direction',
      samples=by(moved, 'portrait'),
      unit='share',
      better='higher',
      baselines={'chance': 0.5},
      needs=('portrait_records',),
      definition='share of these clips, without the neutral ones, in which the emotion is more '
      f'probable to {what} than in the same sound spoken neutrally',
    ),
    Metric(
      name=f'emotion_{name}_truth',
      samples=by(named, 'recorded'),
      unit='share',
      better='higher',
      baselines={'guessing': 1 / len(_ASKED)},
      needs=('portrait_records',),
      definition=f"the same judge on recorded clips of the talker's person at level {_FULL} "
      f'(or neutral), up to {_RECORDED} of each emotion: the ceiling; none where nothing is '
      'labelled',
      tables={
        f'emotion_{name}_truth_confusion': of(confusion, 'recorded'),
        f'emotion_{name}_truth_probability': of(probability, 'recorded'),
      },
    ),
  )


METRICS = (
  *_metrics('fer', emotion_judges.fer, 'the network of the package fer'),
  *_metrics('faceapi', emotion_judges.faceapi, 'FaceExpressionNet of face-api'),
)
