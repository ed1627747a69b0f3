"""Do strangers see the emotions that a filmed person is acted in, and do they see more of more?

    python -m experiments.acted me/records

The longest held-out clip of a person (`gmtalker prepare person`), acted as `gmtalker act` does at
some strengths and rendered in the person's skin; and its photographs, bent as for a painter
(`--pictures`), their shading taken to some powers: mean probability of the emotion asked for, by
two networks that we did not make. Hours: three minutes.
"""

import argparse
import sys

import numpy as np

from data_pipelines import acted, prepare
from gmtalker_jax.data import schema, source
from gmtalker_jax.evaluation import regions
from gmtalker_jax.inference import acting, talker
from gmtalker_jax.io import emotion_judges, people

FRAMES, APART = 75, 6  # of the clip, and how far those that are judged are apart
STRENGTHS = (1.0, 1.5, 1.75, 2.0)
SHADINGS = (0.0, 1.0, acted.CREASE)
SIZE = 256  # pixels of the renderings


def main() -> None:
  """Prints Markdown: a line a kind of picture, fer and FaceExpressionNet for each emotion."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('records')
  opened = source.open_records(parser.parse_args().records, 'test', with_frames=True)
  record = max((opened[i] for i in range(len(opened))), key=lambda r: len(r['motion']))
  person = people.from_json(opened.people[record['subject']])
  who, judges = talker.load('builtin'), (emotion_judges.fer(), emotion_judges.faceapi())
  asked = [e for e in schema.EMOTIONS if e in emotion_judges.CLASSES and e != 'neutral']
  frames = list(range(0, min(len(record['motion']), FRAMES), APART))

  def few(clip):
    rows = {name: clip[name][frames] for name in ('expression', 'motion', 'sway')}
    return {**clip, **rows, 'frames': [record['frames'][k] for k in frames]}

  def cell(pictures: np.ndarray, played, emotion: str) -> str:
    every, size = np.arange(len(pictures)), pictures.shape[1]
    at = regions.landmarks(who.head, record['identity'], played, every, size)
    seen = [j.look(pictures, at).mean(0)[j.classes.index(emotion)] for j in judges]
    return ', '.join(f'{x:.2f}' for x in seen)

  def rendering(emotion: str, strength: float) -> str:
    played = few(acting.act(who, record, emotion, 0, strength))
    return cell(prepare.rendered(played, slice(None), SIZE, person), played, emotion)

  def photograph(emotion: str, shading: float) -> str:
    played = few(acting.act(who, record, emotion, 0))
    bent = acted.pictured(few(record), played, who.head, person, shading)['frames']
    return cell(np.stack([source.decode(picture) for picture in bent]), played, emotion)

  sys.stdout.write('| | ' + ' | '.join(asked) + ' |\n|---|' + '---|' * len(asked) + '\n')
  for kind, look, values in (
    ('rendering, strength', rendering, STRENGTHS),
    ('photograph, shading', photograph, SHADINGS),
  ):
    for value in values:
      cells = [look(emotion, value) for emotion in asked]
      sys.stdout.write(f'| {kind} {value:g} | ' + ' | '.join(cells) + ' |\n')


if __name__ == '__main__':
  main()
