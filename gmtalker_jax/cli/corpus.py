"""Make the built-in corpus: invented people who speak, with sound and known truth.

It has MEAD's layout (OUT/mead/ID/video/front/EMOTION/level_N/NNN.mp4 and audio beside) and LRS3's
(OUT/lrs3/{pretrain,test}/ID/NNNNN.mp4); each clip has its truth in an npz beside it. No licence,
no real person, any size; the same seed makes the same files.

examples:
  gmtalker corpus --out corpus --people 2 --sentences 3
  gmtalker corpus --out corpus --people 8 --sentences 30 --size 256 --seed 1
"""

from collections.abc import Sequence

from gmtalker_jax.cli import arguments


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker corpus`."""
  parser = arguments.Parser('corpus', __doc__)
  add = parser.add_argument
  add('--out', required=True, metavar='DIR', help='a new or empty folder')
  add('--people', type=arguments.count, default=2, help='invented people (default 2)')
  add('--sentences', type=arguments.count, default=3, help='per emotion and level (default 3)')
  add('--portrait-sentences', type=arguments.count, default=2, help='with pictures, of the star')
  add('--size', type=arguments.count, default=256, help='pixels (default 256)')
  add('--seed', type=int, default=0)
  args = parser.read(argv)

  from data_pipelines.procedural import corpus

  corpus.build(
    args.out,
    people=args.people,
    sentences=args.sentences,
    portrait_sentences=args.portrait_sentences,
    size=args.size,
    seed=args.seed,
  )
  print(f'{args.out}: done; next: gmtalker prepare procedural {args.out} --out records')
  return 0
