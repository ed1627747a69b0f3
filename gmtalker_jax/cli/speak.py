"""Sound in, talking portrait out (H.264 + AAC, 25 frames per second).

examples:
  gmtalker speak --audio voice.wav --emotion happy --out talk.mp4
  gmtalker speak --audio talk.mp3 --emotion "0:neutral 2:happy 4.5:angry@0.6" --out talk.mp4
  gmtalker speak --talker my_talker --audio voice.m4a --emotion sad --intensity 0.5 --seed 3

  gmtalker speak --audio voice.wav --grid emotions --out eight.mp4     all emotions side by side
  gmtalker speak --audio voice.wav --grid seeds --out ten.mp4          ten seeds side by side

emotions: angry contempt disgusted fear happy neutral sad surprised; a+b is an equal blend.
A track has keys SECONDS:EMOTION[@STRENGTH] with straight lines between them.
The same arguments and seed give the same video. An existing --out is replaced when done.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gmtalker_jax.cli import arguments
from gmtalker_jax.io import files


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker speak`."""
  args = _parser().read(argv)

  from gmtalker_jax import api
  from gmtalker_jax.data import schema
  from gmtalker_jax.inference import timeline

  out = api.check_out(args.out)
  if args.coefficients:
    files.check_place(args.coefficients)
  started = time.monotonic()
  timeline.parse(args.emotion, args.intensity, 1)  # refuse it before the slow work
  sound = api.hear(args.audio)
  talker = api.load(args.talker)
  talks = {
    label: talker.speak(
      sound,
      emotion,
      args.intensity,
      seed,
      temperature=args.temperature,
      motion_scale=args.motion_scale,
      sampling=args.sampling,
    )
    for label, emotion, seed in _variations(args, schema.EMOTIONS)
  }
  one = next(iter(talks.values()))
  frames = len(one.emotion)
  one.save(out, _sized(_watched(_together(talks), frames), args.size))
  if args.coefficients:
    _write_coefficients(args.coefficients, talks)
  seconds, took = frames / schema.FRAME_RATE, time.monotonic() - started
  print(f'{out}: {frames} frames, {seconds:.2f} s, made in {took:.1f} s ({seconds / took:.2f}x)')
  return 0


def _variations(args, emotions: Sequence[str]) -> list[tuple[str, str, int]]:
  """(label, emotion track, seed) of each talk: one, or those of a grid."""
  if args.grid == 'emotions':
    return [(name, name, args.seed) for name in emotions]
  if args.grid == 'seeds':
    return [(f'seed {args.seed + i}', args.emotion, args.seed + i) for i in range(10)]
  return [('', args.emotion, args.seed)]


def _together(talks: Mapping[str, Any]) -> Iterator[np.ndarray]:
  from gmtalker_jax.inference import grid

  if len(talks) == 1:
    return next(iter(talks.values())).frames
  return grid.tile({label: talk.frames for label, talk in talks.items()})


def _write_coefficients(path: str, talks: Mapping[str, Any]) -> None:
  """Writes what was generated: [N, T, ...] arrays and the N labels."""
  values = list(talks.values())
  files.write_arrays(
    path,
    {
      'label': np.array(list(talks), np.str_),
      'expression': np.stack([t.coefficients.expression for t in values]),
      'motion': np.stack([t.coefficients.motion for t in values]),
      'emotion': np.stack([t.emotion for t in values]),
    },
  )


def _parser() -> arguments.Parser:
  parser = arguments.Parser('speak', __doc__)
  add = parser.add_argument
  add(
    '--talker',
    default='builtin',
    metavar='DIR',
    help='made by `gmtalker bundle`; or builtin[:NAME]',
  )
  add('--audio', '--driven_audio', required=True, metavar='FILE', help='any sound or video file')
  add('--emotion', default='neutral', metavar='TRACK', help='see above (default neutral)')
  add('--intensity', type=arguments.unit, default=1.0, help='0..1, scales every emotion')
  add('--seed', type=int, default=0, help='another seed, another talk')
  add('--temperature', type=arguments.not_negative, default=1.0, help='0 = the most likely talk')
  add(
    '--sampling',
    choices=('interpolation', 'component', 'moment'),
    default='interpolation',
    help='a blend of emotions is a face between them (default), one of them, or their Gaussian',
  )
  add('--motion-scale', type=arguments.not_negative, default=1.0, help='0 = a still head')
  add(
    '--size', type=arguments.count, metavar='PX', help='height of the video (default: as trained)'
  )
  add('--out', default='talk.mp4', metavar='FILE', help='default talk.mp4')
  add('--grid', choices=('emotions', 'seeds'), help='many talks in one video, with labels')
  add('--coefficients', metavar='FILE.npz', help='write blendshapes and motion there too')
  add('--overwrite', action='store_true', help='for scripts that say so; --out is always replaced')
  return parser


def _watched(frames: Iterator[np.ndarray], total: int) -> Iterator[np.ndarray]:
  from tqdm import tqdm

  return iter(
    tqdm(frames, total=total, desc='speaking', unit='frame', file=sys.stderr, leave=False)
  )


def _sized(frames: Iterator[np.ndarray], size: int | None) -> Iterator[np.ndarray]:
  if size is None:
    return iter(frames)
  import cv2

  def resized(frame):
    height, width = frame.shape[:2]
    target = round(width * size / height), size
    how = cv2.INTER_AREA if size < height else cv2.INTER_CUBIC
    return cv2.resize(frame, target, interpolation=how)

  return map(resized, frames)
