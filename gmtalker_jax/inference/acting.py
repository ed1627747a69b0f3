"""A person filmed in one mood, acted in the others: what an expression generator is tuned on.

Tuned on one mood alone it unlearns the emotions: within 400 steps a smile shrank to a third. So
what it knew before is shown to it again, on the person: to the recorded face is added what the
emotion changed in the face that the generator made for the same sound.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gmtalker_jax.data import emotion as emotions
from gmtalker_jax.data import schema
from gmtalker_jax.inference import speak
from gmtalker_jax.inference.talker import Talker

STRENGTH = 1.75  # a filmed face rests in its own way, and strangers see less in it than in ours
_NEUTRAL = schema.EMOTIONS[schema.NEUTRAL]


def act(
  talker: Talker, record: Mapping[str, Any], emotion: str, seed: int, strength: float = STRENGTH
) -> dict[str, Any]:
  """The clip with another emotion, at level 3 and labelled; without pictures.

  Args:
    talker: whose expression generator knows the emotions.
    record: see data/schema.py; of a neutral face.
    emotion: one of schema.EMOTIONS.
    seed: of the manner w.
    strength: of the change; 1 = as in the generator's own face.
  """

  return _acted(record, emotion, strength * _changes(talker, record, seed)(emotion))


def missing(records: Iterable[Mapping[str, Any]]) -> list[str]:
  """The emotions that a person was not filmed in; neutral is none."""
  shown = {record['emotion'] for record in records}
  return [emotion for emotion in schema.EMOTIONS if emotion not in shown | {_NEUTRAL}]


def performances(
  talker: Talker,
  records: Sequence[Mapping[str, Any]],
  seed: int = 0,
  strength: float = STRENGTH,
) -> Iterator[dict[str, Any]]:
  """All clips without their pictures, those without emotion as neutral and acted.

  Emotions that the person was filmed in are not acted.
  """
  asked = [_NEUTRAL, *missing(records)]
  for number, record in enumerate(records):
    if record['emotion'] not in ('', _NEUTRAL):
      yield {**record, 'frames': [], 'renderings': []}
      continue
    changes = _changes(talker, record, seed + number)
    for emotion in asked:
      yield _acted(record, emotion, strength * changes(emotion))


def parts(
  talker: Talker,
  record: Mapping[str, Any],
  emotions: Sequence[str],
  seed: int,
  strength: float = STRENGTH,
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
  """A clip cut into as many parts as there are emotions: pairs of a part as filmed and as acted.

  So of each frame there is one that is acted. The seed says which part is acted in which emotion,
  and the manner. Of a clip with an emotion there are none.
  """
  if record['emotion'] not in ('', _NEUTRAL):
    return
  changes = _changes(talker, record, seed)
  bounds = np.linspace(0, len(record['expression']), len(emotions) + 1).astype(int)
  for place, (start, stop) in enumerate(itertools.pairwise(bounds)):
    if start < stop:
      emotion = emotions[(seed + place) % len(emotions)]
      acted = _acted(record, emotion, strength * changes(emotion))
      yield schema.part(record, start, stop), schema.part(acted, start, stop)


def _changes(talker: Talker, record: Mapping[str, Any], seed: int) -> Callable[[str], np.ndarray]:
  """What an emotion changes [F, 50] in the face that the generator makes for the clip's sound."""

  @functools.cache
  def face(name: str) -> np.ndarray:
    weights = np.tile(emotions.label(name, schema.LEVELS), (len(record['expression']), 1))
    return speak.generate_expression(talker, record['speech'], weights, seed, temperature=0.0)[0]

  return lambda name: face(name) - face(_NEUTRAL)


def _acted(record: Mapping[str, Any], emotion: str, change: np.ndarray) -> dict[str, Any]:
  return {
    **record,
    'id': f'{record["id"]}_{emotion}',
    'emotion': emotion,
    'level': schema.LEVELS,
    'expression': np.clip(record['expression'] + change, 0, 1).astype(np.float32),
    'frames': [],
    'renderings': [],
  }
