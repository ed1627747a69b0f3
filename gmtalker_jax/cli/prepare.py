"""Turn videos into training records: decode, track the face, encode the speech, check, write.

kinds:
  mead        SRC/ID/video/VIEW/EMOTION/level_N/NNN.mp4 with SRC/ID/audio/EMOTION/level_N/NNN.m4a
  lrs3        SRC/{pretrain,trainval,test}/ID/NNNNN.mp4
  folder      any folder of talking videos
  person      one or more videos of one person, cut at pauses, the end held out; with frames
  bfm         ready coefficients of Deep3DFaceRecon (.mat with `coeff`), a sound file beside each
  procedural  what `gmtalker corpus` made (reads the known truth instead of tracking)

examples:
  gmtalker prepare mead MEAD --out records/mead
  gmtalker prepare folder my_videos --out records/me --frames
  gmtalker prepare person me.mp4 --out records/me --size 128
  gmtalker prepare bfm coefficients --head BFM_model_front.mat --fps 30 --out records/bfm
  gmtalker prepare procedural corpus/mead --out records/star --frames W001

Clips that cannot be used get a reason in OUT/report.json; nothing stops (a person's video is
refused instead). OUT/contact_sheet.jpg
shows the fitted head over the frames.
"""

import sys
from collections.abc import Sequence

from gmtalker_jax.cli import arguments, extras, shipped
from gmtalker_jax.core.errors import InputError

KINDS = ('mead', 'lrs3', 'folder', 'procedural', 'person', 'bfm')


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker prepare`."""
  parser = arguments.Parser('prepare', __doc__)
  add = parser.add_argument
  add('kind', choices=KINDS, help='how the folder is laid out')
  add('source', metavar='SRC', nargs='+', help='a folder; for a person also video files')
  add('--out', required=True, metavar='DIR', help='records, report.json, contact_sheet.jpg')
  add('--encoder', metavar='NAME', help='speech: logmel+embedding (default), hubert-large ...')
  add(
    '--frames', nargs='?', const=True, default=False, metavar='SUBJECT',
    help='keep photographs and renderings too (of one person): what the portrait stage needs',
  )  # fmt: skip
  add('--size', type=arguments.count, default=256, help='pixels of kept frames (default 256)')
  add('--plain', action='store_true', help="render with the head's own skin and light: no likeness")
  add('--no-shoulders', action='store_true', help='of a person: render the head alone')
  add('--name', default='', help='of a person (default: that of the first video)')
  add('--emotions', metavar='CSV', help='of a person: lines VIDEO,EMOTION where it is known')
  add('--head', metavar='FILE', help='of the kind bfm: BFM_model_front.mat')
  add('--fps', type=float, metavar='F', help='of the kind bfm: frames per second (default 25)')
  add('--silence', action='store_true', help='of the kind bfm: take clips without sound as silent')
  add('--workers', type=arguments.count, help='clips at once (default: cores, at most 2)')
  add('--overwrite', action='store_true', help='replace --out if it exists')
  args = parser.read(argv)
  extras.require('prepare', 'prepare')

  from gmtalker_jax import speech

  encoder = args.encoder or speech.DEFAULT
  if args.kind != 'bfm' and (args.head or args.fps or args.silence):
    raise InputError(
      f"got --head, --fps or --silence for the kind {args.kind!r}, expected them for 'bfm' alone"
    )
  if args.kind != 'person' and args.no_shoulders:
    raise InputError(f'got --no-shoulders for {args.kind!r}, whose kind shows none; leave it out')
  make = {'person': _person, 'bfm': _coefficients}.get(args.kind, _folder)
  report = make(args, encoder)
  print(shipped.module('data_pipelines.report').summary(report))
  sheet = '' if args.kind == 'bfm' else f' and {args.out}/contact_sheet.jpg'
  print(f'details: {args.out}/report.json{sheet}')
  if not report['accepted']:
    print('gmtalker: got no clip that can be used, see the reasons above', file=sys.stderr)
    return 1
  return 0


def _folder(args, encoder: str):
  if len(args.source) > 1 or args.name or args.emotions:
    raise InputError(
      f'got {len(args.source)} sources, --name {args.name!r}, --emotions {args.emotions!r} for the '
      f"kind {args.kind!r}, expected one folder alone; the kind 'person' takes the others"
    )
  return shipped.module('data_pipelines.prepare').prepare(
    args.kind,
    args.source[0],
    args.out,
    encoder=encoder,
    with_frames=args.frames,
    size=args.size,
    plain=args.plain,
    workers=args.workers,
    overwrite=args.overwrite,
  )


def _coefficients(args, encoder: str):
  if len(args.source) > 1 or not args.head or args.frames or args.name or args.emotions:
    raise InputError(
      f"got {len(args.source)} sources and --head {args.head!r} for 'bfm', expected one folder and "
      'the file BFM_model_front.mat, whose width is the unit of translations; no pictures, no names'
    )
  return shipped.module('data_pipelines.coefficients').prepare(
    args.source[0],
    args.out,
    args.head,
    encoder=encoder,
    fps=args.fps or 25.0,
    silence=args.silence,
    overwrite=args.overwrite,
  )


def _person(args, encoder: str):
  pipeline = shipped.module('data_pipelines.person')
  return pipeline.prepare_person(
    args.source,
    args.out,
    name=args.name,
    encoder=encoder,
    size=args.size,
    plain=args.plain,
    with_shoulders=not args.no_shoulders,
    labels=pipeline.read_labels(args.emotions) if args.emotions else None,
    overwrite=args.overwrite,
  )
