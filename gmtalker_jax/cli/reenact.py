"""Paint held-out clips of a talker's person anew: left the photograph, right the portrait.

The face moves as it was filmed, so the two halves differ only in the painting.

examples:
  gmtalker reenact --talker me/talker --records me/records --out beside.mp4
  gmtalker reenact --talker me/talker --records me/records --audio me/records/held_out.wav

The clips follow each other in the order of their names; --audio is the sound of all of them.
"""

import sys
from collections.abc import Sequence

from gmtalker_jax.cli import arguments
from gmtalker_jax.core.errors import InputError


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker reenact`."""
  parser = arguments.Parser('reenact', __doc__)
  add = parser.add_argument
  add('--talker', required=True, metavar='DIR')
  add('--records', required=True, metavar='DIR', help='with frames of its person')
  add('--split', choices=('train', 'test'), default='test')
  add('--audio', metavar='FILE', help='the sound (default: none)')
  add('--seconds', type=arguments.not_negative, default=0.0, help='at most so many; 0 = all')
  add('--out', default='beside.mp4', metavar='FILE')
  args = parser.read(argv)

  from itertools import islice

  from tqdm import tqdm

  from gmtalker_jax import api
  from gmtalker_jax.data import schema, source
  from gmtalker_jax.inference import reenact, talker
  from gmtalker_jax.io import audio, video

  out = api.check_out(args.out)
  who = talker.load(args.talker)
  opened = source.open_records(args.records, args.split, with_frames=True)
  records = (opened[i] for i in range(len(opened)))
  mine = [r for r in records if r['subject'] == who.subject and len(r['frames'])]
  if not mine:
    raise InputError(
      f'got no clip of {who.subject!r} with frames in {args.split!r} of {args.records!r}, expected '
      'some; prepare them with frames'
    )
  mine.sort(key=lambda record: record['id'])
  total = sum(len(record['frames']) for record in mine)
  total = min(total, round(args.seconds * schema.FRAME_RATE) or total)
  frames = islice((frame for record in mine for frame in reenact.beside(who, record)), total)
  frames = tqdm(frames, total=total, desc='painting', unit='frame', file=sys.stderr, leave=False)
  sound = None
  if args.audio:
    sound = audio.read(args.audio, api.FILM_RATE)[: total * api.FILM_RATE // schema.FRAME_RATE]
  video.write(out, iter(frames), sound, api.FILM_RATE)
  print(f'{out}: {total} frames of {len(mine)} clips, photograph and portrait')
  return 0
