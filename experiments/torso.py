"""How much of collar, tie and shoulders the way of the head tells a painter.

    python -m experiments.torso me.mp4 RECORDS

RECORDS are those of `gmtalker prepare folder`; the longest clip in them is that video.

Ridge regression from head pose (with products) to the principal pictures of the lowest quarter of
the frame, learnt from the first 85 % of a video and asked of the rest: the squared error, as a
share of that of the mean picture. With the pose of the moment alone, and with its mean over some
time around it. Hours: a minute.
"""

import argparse
import sys

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from gmtalker_jax.data import schema, source
from gmtalker_jax.io import video

SIZE = 96  # pixels of a frame
TRAINING = 0.85  # of the video
COMPONENTS = 30
STRENGTH = (1.0, 10.0, 100.0, 1000.0)  # of the regression; the best one counts, for each alike
AROUND = (0.2, 0.5, 1.0, 2.0, 4.0)  # seconds: standard deviation of the mean over time


def squares(columns: np.ndarray) -> np.ndarray:
  """Columns [T, C] with all their products."""
  upper = np.triu_indices(columns.shape[1])
  return np.concatenate([columns, columns[:, upper[0]] * columns[:, upper[1]]], 1)


def left(told: np.ndarray, pictures: np.ndarray) -> float:
  """Share of the variance of pictures [T, P] that columns [T, C] leave, on frames not learnt."""
  count = int(TRAINING * len(told))
  centre = pictures[:count].mean(0)
  basis = np.linalg.svd(pictures[:count:3] - centre, full_matrices=False)[2][:COMPONENTS]
  weights = (pictures[:count] - centre) @ basis.T
  x = (told - told[:count].mean(0)) / (told[:count].std(0) + 1e-6)
  x = np.concatenate([x, np.ones((len(x), 1))], 1)
  known, asked = x[:count], x[count:]
  errors = []
  for strength in STRENGTH:
    gram = known.T @ known + strength * np.eye(x.shape[1])
    made = asked @ np.linalg.solve(gram, known.T @ weights) @ basis
    errors.append(((pictures[count:] - centre - made) ** 2).mean())
  return float(min(errors) / ((pictures[count:] - centre) ** 2).mean())


def main() -> None:
  """Prints a line for each time around."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('video')
  parser.add_argument('records')
  args = parser.parse_args()
  opened = source.open_records(args.records, 'train')
  pose = max((opened[i]['motion'][:, :6] for i in range(len(opened))), key=len)
  small = [
    cv2.resize(frame, (SIZE, SIZE), interpolation=cv2.INTER_AREA)[3 * SIZE // 4 :].ravel()
    for frame, _ in zip(video.stream(args.video), pose, strict=False)
  ]
  pictures, pose = np.array(small, np.float32) / 255, pose[: len(small)]
  sys.stdout.write(f'the moment alone: {left(squares(pose), pictures):.2f}\n')
  for seconds in AROUND:
    slow = gaussian_filter1d(pose, seconds * schema.FRAME_RATE, axis=0)
    sys.stdout.write(f'with {seconds} s: {left(squares(np.c_[pose, slow]), pictures):.2f}\n')


if __name__ == '__main__':
  main()
