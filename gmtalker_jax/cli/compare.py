"""Is the second talker better? Two evaluations, clip by clip: paired differences with intervals.

examples:
  gmtalker compare before.json after.json
  gmtalker compare before.json after.json --out compared.json

Both come from `gmtalker evaluate --out`; measure the second with --protocol before.protocol.json
of the first, so that the clips are the same. "open" means that 0 is in the interval. What keeps the
two from being compared (other clips, judges, definitions) and sanity checks that failed are said
below the table.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gmtalker_jax.cli import arguments, extras
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import files


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker compare`."""
  parser = arguments.Parser('compare', __doc__ or '')
  parser.add_argument('first', metavar='A.json')
  parser.add_argument('second', metavar='B.json')
  parser.add_argument('--out', metavar='FILE', help='the table as JSON, too')
  args = parser.read(argv)
  if args.out:
    files.check_place(args.out)
  extras.require('compare', 'report')

  from gmtalker_jax.evaluation import comparison

  names = args.first, args.second
  found = [_read(name) for name in names]
  rows = comparison.compare(*found)
  warnings = list(comparison.differences(*found))
  for name, one in zip(names, found, strict=True):
    failed = [c for c in one.get('checks', []) if not c['holds']]
    warnings += [f'{name} failed a check: {c["metric"]}: {c["sentence"]}' for c in failed]
  if not rows:
    raise InputError(f'got {names[0]!r} and {names[1]!r} without a number in common, expected some')
  print(comparison.markdown(rows, [Path(name).stem for name in names], warnings), end='')
  if args.out:
    files.write_json(args.out, {'rows': [row._asdict() for row in rows], 'warnings': warnings})
  return 0


def _read(name: str) -> Mapping[str, Any]:
  found = files.read_json(name)
  if not isinstance(found, dict) or 'definitions' not in found:
    raise InputError(f'got {name!r}, expected the metrics.json of `gmtalker evaluate`')
  return found
