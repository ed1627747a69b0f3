"""Measure a talker on held-out records, beside the truth and beside trivial baselines.

examples:
  gmtalker evaluate --talker my_talker --records records/mead --out metrics.json
  gmtalker evaluate --talker my_talker --records records/mead --motion-records records/lrs3 \\
      --portrait-records records/star --out metrics.json
  gmtalker evaluate --talker me/talker --portrait-records me/records
  gmtalker evaluate --records records/mead --metrics mouth_lmd_ratio,emotion_accuracy
  gmtalker evaluate --talker another --records records/mead --protocol metrics.protocol.json

metrics.json holds the numbers by name and, under "definitions", what each one is; embedding.json
beside it holds the clips as points (t-SNE of the posterior means), metrics.protocol.json every clip
and judge by name: given back with --protocol, the same is measured again, or refused. metrics.md,
.tex and .html are all of it to be read. With --metrics only these numbers are measured, and nothing
else is written.
"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from gmtalker_jax.cli import arguments, extras
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import files


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker evaluate`."""
  parser = arguments.Parser('evaluate', __doc__)
  add = parser.add_argument
  add('--talker', default='builtin', metavar='DIR')
  add('--records', metavar='DIR', help='clips with emotion labels')
  add('--motion-records', metavar='DIR', help='for head motion (default: --records)')
  add('--portrait-records', metavar='DIR', help="with frames of the talker's person")
  add('--protocol', metavar='NAME|FILE', help='mead, mead_four, or a file that evaluate wrote')
  add('--clips', type=arguments.count, help='held-out clips at most (default 48)')
  add('--seeds', type=arguments.count, help='of head motion (default 10)')
  add('--metrics', metavar='A,B', help='only these (default: all)')
  add('--out', default='metrics.json', metavar='FILE')
  args = parser.read(argv)
  if not (args.records or args.portrait_records):
    raise InputError('got no records, expected --records, --portrait-records or both')
  out = Path(args.out)
  files.check_place(out)
  extras.require('evaluate', 'report')

  from tqdm import tqdm

  from gmtalker_jax.evaluation import evaluation_page, exhibits, protocol, protocols
  from gmtalker_jax.evaluation.study import Study
  from gmtalker_jax.inference import talker

  agreed = protocols.read(args.protocol) if args.protocol else protocols.Protocol()
  asked = {'limit': args.clips, 'seeds': args.seeds}
  agreed = dataclasses.replace(agreed, **{n: v for n, v in asked.items() if v is not None})
  study = Study(
    talker.load(args.talker),
    args.records,
    args.motion_records,
    args.portrait_records,
    protocol=agreed,
    progress=lambda what: print(f'measuring {what} ...', file=sys.stderr),
    watch=lambda what, items: tqdm(items, desc=what, file=sys.stderr, leave=False, delay=1),
  )
  found = protocol.evaluate(study, None if args.metrics is None else args.metrics.split(','))
  files.write_json(out, found)
  if args.metrics is None:
    shown = exhibits.of(study)
    if shown.points is not None:
      files.write_json(out.with_name('embedding.json'), shown.points._asdict())
    files.write_json(out.with_suffix('.protocol.json'), found['protocol'])
    evaluation_page.write(out, found, shown)
  print(*protocol.lines(found), sep='\n')
  return 0
