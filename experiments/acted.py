"""Do strangers see the emotions that a filmed person is acted in, and do they see more of more?

    python -m experiments.acted me/records

The longest held-out clip of a person (`gmtalker prepare person`), acted as `gmtalker act` does at
some strengths and rendered in the person's skin: mean probability of the emotion asked for, by two
networks that we did not make. Hours: two minutes.
"""

import argparse
import dataclasses
import sys

import jax.numpy as jnp
import numpy as np

from gmtalker_jax.data import schema, source
from gmtalker_jax.evaluation import regions
from gmtalker_jax.face.render import render_frames
from gmtalker_jax.inference import acting, talker
from gmtalker_jax.io import emotion_judges, people
from gmtalker_jax.types import Coefficients

SIZE = 256  # pixels
FRAMES, APART = 75, 6  # of the clip, and how far those that are judged are apart
STRENGTHS = (1.0, 1.5, 1.75, 2.0)


def main() -> None:
  """Prints Markdown: a line for each strength, fer and FaceExpressionNet for each emotion."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('records')
  opened = source.open_records(parser.parse_args().records, 'test')
  record = max((opened[i] for i in range(len(opened))), key=lambda r: len(r['motion']))
  person = people.from_json(next(iter(opened.people.values())))
  person = dataclasses.replace(person, identity=record['identity'])
  who, judges = talker.load('builtin'), (emotion_judges.fer(), emotion_judges.faceapi())
  asked = [e for e in schema.EMOTIONS if e in emotion_judges.CLASSES and e != 'neutral']
  frames = np.arange(0, min(len(record['motion']), FRAMES), APART)

  def cell(emotion: str, strength: float) -> str:
    acted = acting.act(who, record, emotion, 0, strength)
    face = Coefficients(*(jnp.asarray(acted[k][frames]) for k in ('expression', 'motion')))
    pictures = render_frames(who.head, person, face, SIZE)
    at = regions.landmarks(who.head, person.identity, acted, frames, SIZE)
    seen = [j.look(pictures, at).mean(0)[j.classes.index(emotion)] for j in judges]
    return ', '.join(f'{x:.2f}' for x in seen)

  sys.stdout.write('| strength | ' + ' | '.join(asked) + ' |\n|---|' + '---|' * len(asked) + '\n')
  for strength in STRENGTHS:
    cells = [cell(emotion, strength) for emotion in asked]
    sys.stdout.write(f'| {strength:g} | ' + ' | '.join(cells) + ' |\n')


if __name__ == '__main__':
  main()
