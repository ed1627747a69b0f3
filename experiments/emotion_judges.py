"""What the judges of emotion are worth on real people: the ceiling beside which to read a talker.

    python -m experiments.emotion_judges MEAD [MEAD ...] [--also RECORDS] [--beside METRICS.json]

Clips in MEAD's layout, with or without sound. The two networks on pictures never saw any of them.
Judges on coefficients learn anew for each person, from the clips of all others (and from the
training clips of --also): nobody is judged by what they saw of him or her. 'relative' takes off
the mean face of the person's neutral clips (of the others', where there is none): the classifier
of `gmtalker evaluate` sees faces as they are. Last come the confusions of the two networks, beside
those of what a talker made, if its metrics.json is given. Hours: ten seconds a clip.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from data_pipelines import ingest, prepare, sources
from gmtalker_jax import speech
from gmtalker_jax.data import schema, source
from gmtalker_jax.evaluation.classifier import EmotionClassifier
from gmtalker_jax.io import emotion_judges, files, video
from gmtalker_jax.io.emotion_judges import Judge

SIZE = 256  # pixels of the crop that the judges see
APART = 5  # frames between those that are judged
PIXELS = ('fer', 'faceapi')  # they know no contempt
FLOOR = 0.02  # a weight that hardly moves is not blown up


class Seen(NamedTuple):
  """A clip: who plays what, the coefficients [T, E], and what each judge takes it for."""

  subject: str
  emotion: str
  expression: np.ndarray
  named: dict[str, str]  # by judge


def look(clip: sources.ClipSource, tools: ingest.Tools, judges: dict[str, Judge]) -> Seen:
  """Tracks a clip, whether it can be heard or not, and asks the judges."""
  try:
    found = ingest.ingest(clip, tools, pictured=True)
  except ingest.Rejected as why:
    if why.seen is None:
      raise
    found = why.seen
  count, start = len(found.landmarks), found.start
  chosen = range(start, start + count, APART)
  frames = [f for i, f in enumerate(video.stream(clip.video_path)) if i in chosen]
  pictures = np.stack([found.crop.cut(frame, SIZE) for frame in frames])
  points = (found.landmarks[::APART, :, :2] * [1, -1] + 0.5) * SIZE
  named = {}
  for name, judge in judges.items():
    mean = judge.look(pictures, points[: len(pictures)]).mean(0)
    named[name] = judge.classes[mean.argmax()]
  return Seen(clip.subject, clip.emotion, found.record['expression'], named)


def left_out(clips: Sequence[Seen], also: Sequence[tuple[np.ndarray, str]]) -> list[dict[str, str]]:
  """What judges on coefficients name each clip, when they never saw that person."""
  calm = _neutral_faces(clips)
  relative = [clip.expression - calm[clip.subject] for clip in clips]
  named = []
  for i, clip in enumerate(clips):
    others = [j for j, c in enumerate(clips) if c.subject != clip.subject]
    emotions = [clips[j].emotion for j in others]
    seen = [clips[j].expression for j in others] + [expression for expression, _ in also]
    as_is = EmotionClassifier(seen, emotions + [emotion for _, emotion in also])
    known = [relative[j] for j in others]
    named.append(
      {
        'coefficients': as_is.predict([clip.expression])[0],
        'relative': EmotionClassifier(known, emotions).predict([relative[i]])[0],
        'relative, centroid': nearest_centroid(known, emotions, relative[i]),
      }
    )
  return named


def nearest_centroid(clips: Sequence[np.ndarray], emotions: Sequence[str], one: np.ndarray) -> str:
  """The emotion whose mean face is nearest, in standard deviations: the yardstick."""
  faces = np.stack([clip.mean(0) for clip in clips])
  scale = faces.std(0) + FLOOR
  names = sorted(set(emotions))
  centres = [faces[[e == name for e in emotions]].mean(0) for name in names]
  return names[int(np.argmin([(((one.mean(0) - c) / scale) ** 2).sum() for c in centres]))]


def _neutral_faces(clips: Sequence[Seen]) -> dict[str, np.ndarray]:
  """Person -> the mean expression [E] when neutral; of everybody, where there is no such clip."""
  calm = [c for c in clips if c.emotion == 'neutral']
  everybody = np.mean([c.expression.mean(0) for c in calm], 0)
  own = {c.subject: [d.expression.mean(0) for d in calm if d.subject == c.subject] for c in clips}
  return {name: np.mean(faces, 0) if faces else everybody for name, faces in own.items()}


def table(clips: Sequence[Seen]) -> str:
  """Markdown: who names how many of a person's clips rightly, of those that it has a class for."""
  judges = list(clips[0].named)
  lines = ['| person | ' + ' | '.join(judges) + ' |', '|---' * (len(judges) + 1) + '|']
  for subject in [*sorted({c.subject for c in clips}), 'all']:
    mine = [c for c in clips if subject in (c.subject, 'all')]
    cells = []
    for name in judges:
      asked = [c for c in mine if name not in PIXELS or c.emotion in emotion_judges.CLASSES]
      right = sum(c.named[name] == c.emotion for c in asked)
      cells.append(f'{right} of {len(asked)}')
    lines.append(f'| {subject} | ' + ' | '.join(cells) + ' |')
  said = [
    f'{c.subject} {c.emotion}: ' + ', '.join(f'{n} {e}' for n, e in c.named.items()) for c in clips
  ]
  return '\n'.join([*lines, '', *said]) + '\n'


def confusions(clips: Sequence[Seen], judge: str, made: Mapping[str, Mapping[str, int]]) -> str:
  """Markdown: for each emotion asked for, how often it was named so: real clips / a talker's."""
  classes = sorted(emotion_judges.CLASSES)
  lines = [f'| {judge} | ' + ' | '.join(classes) + ' |', '|---' * (len(classes) + 1) + '|']
  for asked in classes:
    real = [c.named[judge] for c in clips if c.emotion == asked]
    counts = [(real.count(name), made[asked][name] if made else 0) for name in classes]
    cells = [' / '.join(map(str, two[: 1 + bool(made)])) if any(two) else '' for two in counts]
    lines.append(f'| {asked} | ' + ' | '.join(cells) + ' |')
  return '\n'.join(lines) + '\n'


def main() -> None:
  """Prints the tables."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('folders', nargs='+', metavar='MEAD')
  parser.add_argument('--also', metavar='RECORDS', help='labelled records to learn from, too')
  parser.add_argument('--beside', metavar='METRICS.json', help='of `gmtalker evaluate`')
  args = parser.parse_args()
  made = files.read_json(args.beside) if args.beside else {}
  judges = dict(zip(PIXELS, (emotion_judges.fer(), emotion_judges.faceapi()), strict=True))
  tools = prepare.tools(speech.DEFAULT)
  listed = [clip for folder in args.folders for clip in sources.mead(folder)[0]]
  clips = [look(clip, tools, judges) for clip in tqdm(listed, unit='clip', desc='looking')]
  also = []
  if args.also:
    opened = source.open_records(args.also, 'train')
    known = (opened[i] for i in range(len(opened)))
    also = [(r['expression'], r['emotion']) for r in known if r['emotion'] in schema.EMOTIONS]
  named = left_out(clips, also)
  pairs = zip(clips, named, strict=True)
  clips = [clip._replace(named=clip.named | more) for clip, more in pairs]
  sys.stdout.write(table(clips))
  for name in PIXELS:
    sys.stdout.write('\n' + confusions(clips, name, made.get(f'emotion_{name}_confusion', {})))


if __name__ == '__main__':
  main()
