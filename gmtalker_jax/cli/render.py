"""Show recorded coefficients on a head: the built-in one, or a file of BFM, FaceVerse or GNM.

With --expression the right half is what a trained expression generator makes of the same sound and
emotion; head and eyes move as recorded.

examples:
  gmtalker render --records me/records --out heads.mp4
  gmtalker render --records bfm/records --head BFM_model_front.mat --out heads.mp4
  gmtalker render --records bfm/records --head BFM_model_front.mat --expression WORKDIR

heads: builtin, BFM_model_front.mat, faceverse_v3_6_s.npy, gnm_head.npz; records must have the
layout of the head. The clips follow each other in the order of their names, without sound.
"""

import sys
from collections.abc import Sequence

from gmtalker_jax.cli import arguments


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker render`."""
  parser = arguments.Parser('render', __doc__)
  add = parser.add_argument
  add('--records', required=True, metavar='DIR')
  add('--split', choices=('train', 'test'), default='test')
  add('--head', default='builtin', metavar='FILE', help='see above (default: the built-in one)')
  add('--expression', metavar='WORKDIR', help='of a trained expression generator')
  add('--seed', type=int, default=0, help='of what it draws')
  add('--size', type=arguments.count, default=256, help='pixels (default 256)')
  add('--seconds', type=arguments.not_negative, default=0.0, help='at most so many; 0 = all')
  add('--out', default='heads.mp4', metavar='FILE')
  args = parser.read(argv)

  from itertools import islice

  from tqdm import tqdm

  from gmtalker_jax import api
  from gmtalker_jax.data import schema, source
  from gmtalker_jax.inference import rendering
  from gmtalker_jax.io import heads, video

  out = api.check_out(args.out)
  model = heads.load(args.head)
  opened = source.open_records(args.records, args.split)
  records = sorted((opened[i] for i in range(len(opened))), key=lambda record: record['id'])
  show = rendering.Show(model, args.expression, args.size, args.seed)
  for record in records:
    show.check(record)
  total = sum(len(record['motion']) for record in records)
  total = min(total, round(args.seconds * schema.FRAME_RATE) or total)
  frames = islice((frame for record in records for frame in show(record)), total)
  frames = tqdm(frames, total=total, desc='rendering', unit='frame', file=sys.stderr, leave=False)
  video.write(out, iter(frames), None, api.FILM_RATE)
  print(f'{out}: {total} frames of {len(records)} clips')
  return 0
