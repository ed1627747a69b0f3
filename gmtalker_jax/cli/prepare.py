"""Turn videos into training records: decode, track the face, encode the speech, check, write.

kinds:
  mead        SRC/ID/video/VIEW/EMOTION/level_N/NNN.mp4 with SRC/ID/audio/EMOTION/level_N/NNN.m4a
  lrs3        SRC/{pretrain,trainval,test}/ID/NNNNN.mp4
  folder      any folder of talking videos
  procedural  what `gmtalker corpus` made (reads the known truth instead of tracking)

examples:
  gmtalker prepare mead MEAD --out records/mead
  gmtalker prepare folder my_videos --out records/me --frames
  gmtalker prepare procedural corpus/mead --out records/star --frames W001

Clips that cannot be used get a reason in OUT/report.json; nothing stops. OUT/contact_sheet.jpg
shows the fitted head over the frames.
"""

from collections.abc import Sequence

from gmtalker_jax.cli import arguments, extras, shipped

KINDS = ('mead', 'lrs3', 'folder', 'procedural')


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker prepare`."""
  parser = arguments.Parser('prepare', __doc__)
  add = parser.add_argument
  add('kind', choices=KINDS, help='how the folder is laid out')
  add('source', metavar='SRC')
  add('--out', required=True, metavar='DIR', help='records, report.json, contact_sheet.jpg')
  add('--encoder', metavar='NAME', help='speech: logmel, embedding or logmel+embedding (default)')
  add(
    '--frames', nargs='?', const=True, default=False, metavar='SUBJECT',
    help='keep photographs and renderings too (of one person): what the portrait stage needs',
  )  # fmt: skip
  add('--size', type=arguments.count, default=256, help='pixels of kept frames (default 256)')
  add('--plain', action='store_true', help="render with the head's own skin and light: no likeness")
  add('--workers', type=arguments.count, help='clips at once (default: cores, at most 2)')
  add('--overwrite', action='store_true', help='replace --out if it exists')
  args = parser.read(argv)
  extras.require('prepare', 'prepare')

  from gmtalker_jax import speech

  report = shipped.module('data_pipelines.prepare').prepare(
    args.kind,
    args.source,
    args.out,
    encoder=args.encoder or speech.DEFAULT,
    with_frames=args.frames,
    size=args.size,
    plain=args.plain,
    workers=args.workers,
    overwrite=args.overwrite,
  )
  print(shipped.module('data_pipelines.report').summary(report))
  print(f'details: {args.out}/report.json and {args.out}/contact_sheet.jpg')
  return 0
