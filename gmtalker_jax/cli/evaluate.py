"""Measure a talker on held-out records, beside the truth and beside trivial baselines.

examples:
  gmtalker evaluate --talker my_talker --records records/mead --out metrics.json
  gmtalker evaluate --talker my_talker --records records/mead --motion-records records/lrs3 \\
      --portrait-records records/star --out metrics.json

metrics.json holds the numbers by name and, under "definitions", what each one is;
embedding.json beside it holds the clips as points (t-SNE of the posterior means).
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gmtalker_jax.cli import arguments, extras
from gmtalker_jax.core.errors import InputError


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker evaluate`."""
  parser = arguments.Parser('evaluate', __doc__)
  add = parser.add_argument
  add('--talker', default='builtin', metavar='DIR')
  add('--records', required=True, metavar='DIR', help='clips with emotion labels')
  add('--motion-records', metavar='DIR', help='for head motion (default: --records)')
  add('--portrait-records', metavar='DIR', help="with frames of the talker's person")
  add('--clips', type=arguments.count, default=48, help='held-out clips at most (default 48)')
  add('--seeds', type=arguments.count, default=10, help='of head motion (default 10)')
  add('--out', default='metrics.json', metavar='FILE')
  args = parser.read(argv)
  out = Path(args.out)
  if not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
    raise InputError(f'cannot write --out {args.out!r}; expected a folder that is writable')
  extras.require('evaluate', 'report')

  from gmtalker_jax.evaluation import protocol
  from gmtalker_jax.inference import talker

  found, points = protocol.evaluate(
    talker.load(args.talker),
    args.records,
    args.motion_records,
    args.portrait_records,
    clips=args.clips,
    seeds=args.seeds,
    progress=lambda what: print(f'measuring {what} ...', file=sys.stderr),
  )
  _write(out, found)
  _write(out.with_name('embedding.json'), points._asdict())
  for name, value in found.items():
    if isinstance(value, float):
      print(f'{name:28} {value:8.3f}')
  return 0


def _write(path: Path, values: Mapping[str, Any]) -> None:
  """Writes JSON in one rename."""
  text = json.dumps(values, indent=1, default=lambda array: array.tolist())
  part = path.with_name(f'.{path.name}.part')
  part.write_text(text + '\n')
  part.replace(path)
