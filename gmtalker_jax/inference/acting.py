"""A person filmed in one mood, acted in the others: what an expression generator is tuned on.

Tuned on one mood alone it unlearns the emotions: within 400 steps a smile shrank to a third. So
what it knew before is shown to it again, on the person: to the recorded face is added what the
emotion changed in the face that the generator made for the same sound.
"""

from collections.abc import Iterator, Mapping, Sequence
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

  def face(name: str) -> np.ndarray:
    weights = np.tile(emotions.label(name, schema.LEVELS), (len(record['expression']), 1))
    return speak.generate_expression(talker, record['speech'], weights, seed, temperature=0.0)[0]

  change = face(emotion) - face(_NEUTRAL) if emotion != _NEUTRAL else np.float32(0)
  return {
    **record,
    'id': f'{record["id"]}_{emotion}',
    'emotion': emotion,
    'level': schema.LEVELS,
    'expression': np.clip(record['expression'] + strength * change, 0, 1).astype(np.float32),
    'frames': [],
    'renderings': [],
  }


def performances(
  talker: Talker,
  records: Sequence[Mapping[str, Any]],
  seed: int = 0,
  strength: float = STRENGTH,
) -> Iterator[dict[str, Any]]:
  """All clips without their pictures, those without emotion as neutral and acted.

  Emotions that the person was filmed in are not acted.
  """
  shown = {record['emotion'] for record in records}
  for number, record in enumerate(records):
    if record['emotion'] not in ('', _NEUTRAL):
      yield {**record, 'frames': [], 'renderings': []}
      continue
    for emotion in schema.EMOTIONS:
      if emotion == _NEUTRAL or emotion not in shown:
        yield act(talker, record, emotion, seed + number, strength)
