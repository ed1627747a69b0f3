"""Make the built-in corpus: invented people who speak, with sound and known truth.

It has MEAD's layout (OUT/mead/ID/video/front/EMOTION/level_N/NNN.mp4 and audio beside) and LRS3's
(OUT/lrs3/{pretrain,test}/ID/NNNNN.mp4); each clip has its truth in an npz beside it. No licence,
no real person, any size; the same seed makes the same files.

examples:
  gmtalker corpus --out corpus --people 2 --sentences 3
  gmtalker corpus --out corpus --people 8 --sentences 30 --size 512 --seed 1

A run that was cut off goes on when the same command is given again.
"""

from collections.abc import Sequence

from gmtalker_jax.cli import arguments, extras, shipped
from gmtalker_jax.cli.arguments import count, whole


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker corpus`."""
  parser = arguments.Parser('corpus', __doc__)
  add = parser.add_argument
  add('--out', required=True, metavar='DIR', help='a new or empty folder')
  add('--people', type=count, default=2, help='seated people, with the star (default 2)')
  add('--star', type=count, default=1, help='1 is W001, 2 M002, 3 W003 ... (default 1)')
  add('--sentences', type=count, default=3, help='for training, per emotion and level (default 3)')
  add('--portrait-sentences', type=whole, default=2, help='more of them for the star (default 2)')
  add('--test-sentences', type=count, default=1, help='held out, per emotion and level (default 1)')
  add('--stage-people', type=whole, default=3, help='people on a stage, LRS3 (default 3)')
  add('--stage-clips', type=count, default=12, help='clips of each of them (default 12)')
  add('--size', type=count, default=256, help="pixels of the star's videos (default 256)")
  add('--video-size', type=count, default=96, help="pixels of everybody else's (default 96)")
  add('--seed', type=int, default=0)
  args = parser.read(argv)
  extras.require('corpus', 'corpus')

  shipped.module('data_pipelines.procedural.corpus').build(**vars(args))
  print(f'{args.out}: done; next: gmtalker prepare procedural {args.out}/mead --out records')
  return 0
