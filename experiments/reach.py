"""Do the units of the head move as far as people do?

    python -m experiments.reach MEAD [MEAD ...]

Clips in MEAD's layout, with or without sound. The pose of each frame is fitted; what the landmarks
then do beyond it, about their mean over a person's clips, is explained by the units of the head,
each moved by the network's score for it. The weight of a unit by which that is done best is how
much farther people move than the head; 1 = as far. `none` where the clips do not tell: the unit
moves the landmarks by less than a fourteenth as far as jawOpen does. Hours: two seconds a clip.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from data_pipelines import fit, rigid, sources, track
from data_pipelines.landmarker import Landmarker
from gmtalker_jax.data import schema
from gmtalker_jax.face.landmark_model import LandmarkModel
from gmtalker_jax.io import heads, video

FRAMES = 40  # of each clip, evenly spread
SCORES = 0.8  # a score is so much of a weight, as the fit takes it
TOLD = 0.005  # of what is known of jawOpen
RIDGE = 0.0005  # draws units of which little is known towards 1


class Clip(NamedTuple):
  """Who, landmarks [T, 478, 2] in crop units, scores [T, 52]."""

  subject: str
  points: np.ndarray
  scores: np.ndarray


def pairs() -> dict[str, list[int]]:
  """The columns of each unit, left and right as one; the eyes' turning left out."""
  found: dict[str, list[int]] = {}
  for column, name in enumerate(schema.BLENDSHAPES):
    if not name.startswith('eyeLook'):
      found.setdefault(name.replace('Left', '').replace('Right', ''), []).append(column)
  return found


def watch(source: sources.ClipSource, landmarker: Landmarker, model: LandmarkModel) -> Clip:
  """Follows the face through a clip."""
  landmarker.reset()
  seen = track.track(video.stream(source.video_path), landmarker)
  if seen is None:
    raise SystemExit(f'got no face in {source.video_path}')
  points, scores = track.seen(seen, track.place(model, seen))
  return Clip(source.subject, *fit.key_frames(points, scores, FRAMES))


def moments(model: LandmarkModel, clips: Sequence[Clip]) -> np.ndarray:
  """Products of the units with one another and, last, with what was seen [U, U + 1]."""
  points = np.concatenate([clip.points for clip in clips]).astype(np.float32)
  scores = np.concatenate([clip.scores for clip in clips]).astype(np.float32)
  shape = fit.fit_shape(model, [(clip.points, clip.scores) for clip in clips])
  neutral = model.neutral(shape.identity) + shape.offset
  motion = fit.fit(model, points, scores, shape).motion
  rotation = rigid.rotation_matrix(motion[:, schema.ROTATION])
  rest = np.einsum('tij,nj->tni', rotation, neutral) + motion[:, None, schema.TRANSLATION]
  off = (points - rigid.project(rest)) * (rigid.DISTANCE - rest[..., 2:]) / rigid.FOCAL
  moved = np.einsum('tji,tnj->tni', rotation[:, :2], off)[..., :2]  # in the head's own axes
  weights = SCORES * fit.calibrate_blinks(scores)
  trust = fit.landmark_weights(model)[:, None]
  units = [np.tensordot(weights[:, c], model.expression[c][..., :2], 1) for c in pairs().values()]
  a, y = ((x - x.mean(-3, keepdims=True)) * trust for x in (np.stack(units), moved))
  a, y = a.reshape(len(units), -1) / np.sqrt(len(points)), y.ravel() / np.sqrt(len(points))
  return a @ np.column_stack([a.T, y])


def reach(found: np.ndarray) -> np.ndarray:
  """How much farther than the head people move [U], of moments; NaN where they do not tell."""
  units, seen = found[:, :-1], found[:, -1]
  known = np.diag(units)
  most = known[list(pairs()).index('jawOpen')]
  ridge = RIDGE * most * np.eye(len(known))
  solved = np.linalg.solve(units + ridge, seen + ridge.sum(1))
  return np.where(known > TOLD * most, solved, np.nan)


def main() -> None:
  """Prints Markdown: a line for each unit; all people, then each of whom there are many clips."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('folders', nargs='+')
  listed = [c for folder in parser.parse_args().folders for c in sources.mead(folder)[0]]
  model, landmarker = LandmarkModel.of(heads.load_head()), Landmarker()
  clips = [watch(clip, landmarker, model) for clip in tqdm(listed, unit='clip')]
  people: dict[str, list[Clip]] = {}
  for clip in clips:
    people.setdefault(clip.subject, []).append(clip)
  each = {who: moments(model, some) for who, some in people.items()}
  columns = {'all': reach(np.sum(list(each.values()), axis=0))}
  columns |= {who: reach(each[who]) for who, some in people.items() if len(some) > 4}
  sys.stdout.write('| unit | ' + ' | '.join(columns) + ' |\n|---|' + '---|' * len(columns) + '\n')
  for row, unit in enumerate(pairs()):
    cells = ['none' if np.isnan(c[row]) else f'{c[row]:.1f}' for c in columns.values()]
    sys.stdout.write(f'| {unit} | ' + ' | '.join(cells) + ' |\n')


if __name__ == '__main__':
  main()
