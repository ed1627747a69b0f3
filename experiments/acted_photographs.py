"""What do judges see in photographs that were bent to an emotion?

    python -m experiments.acted_photographs RECORDS [--shading 0 1 2]

Held-out frames of a person (`gmtalker prepare person`) are acted in each emotion, and two judges
that we did not make (`make carriers`) look at the rendering and at the bent photograph, whose
shading is taken to each of the powers (data_pipelines/acted.py). A cell is the mean probability of
the emotion, by fer and by FaceExpressionNet. Hours: two minutes.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence

import numpy as np

from data_pipelines import acted
from gmtalker_jax.data import schema, source
from gmtalker_jax.evaluation import regions
from gmtalker_jax.inference import acting, talker
from gmtalker_jax.io import emotion_judges, people

APART, FRAMES = 6, 13  # every so many frames one is looked at, at most so many of a clip


def table(seen: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
  """Markdown: a line for each kind of picture, a column for each emotion, judges in a cell."""
  emotions = list(next(iter(seen.values())))
  lines = ['| | ' + ' | '.join(emotions) + ' |', '|---|' + '---|' * len(emotions)]
  for kind, row in seen.items():
    cells = (', '.join(f'{p:.2f}'.lstrip('0') for p in row[emotion]) for emotion in emotions)
    lines.append(f'| {kind} | ' + ' | '.join(cells) + ' |')
  return '\n'.join(lines) + '\n'


def main(argv: Sequence[str] | None = None) -> int:
  """Acts the longest held-out clip, shows it to the judges and prints the table."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('records')
  parser.add_argument('--shading', type=float, nargs='+', default=[0.0, 1.0, acted.CREASE])
  args = parser.parse_args(argv)

  opened = source.open_records(args.records, 'test', with_frames=True)
  clip = max((opened[i] for i in range(len(opened))), key=lambda record: len(record['motion']))
  who, judges = talker.load(), (emotion_judges.fer(), emotion_judges.faceapi())
  person = people.from_json(opened.people[clip['subject']])
  looked_at = np.arange(0, len(clip['motion']), APART)[:FRAMES]
  shown = [e for e in schema.EMOTIONS if all(e in judge.classes for judge in judges)]

  def few(record):  # the frames that are looked at, as a record of their own
    rows = {name: [record[name][k] for k in looked_at] for name in ('frames', 'renderings')}
    return {**record, **rows} | {
      name: record[name][looked_at] for name in ('expression', 'motion', 'sway')
    }

  def see(pictures: Sequence[bytes], record, emotion: str) -> list[float]:
    photographs = np.stack([source.decode(picture) for picture in pictures])
    every = np.arange(len(photographs))
    size = photographs.shape[1]
    points = regions.landmarks(who.head, clip['identity'], record, every, size)
    return [
      float(judge.look(photographs, points).mean(0)[judge.classes.index(emotion)])
      for judge in judges
    ]

  filmed, seen = few(clip), {}
  for emotion in shown:
    played = acting.act(who, clip, emotion, 0) | {n: clip[n] for n in ('frames', 'renderings')}
    played = few(played)
    for power in args.shading:
      made = acted.pictured(filmed, played, who.head, person, power)
      where = seen.setdefault(f'photographs, shading {power:g}', {})
      where[emotion] = see(made['frames'], played, emotion)
    seen.setdefault('renderings', {})[emotion] = see(made['renderings'], played, emotion)
  sys.stdout.write(table(seen))
  return 0


if __name__ == '__main__':
  sys.exit(main())
