"""Pack three trained generators into a talker: a directory that `gmtalker speak` loads.

examples:
  gmtalker bundle --expression runs/expression --motion runs/motion --portrait runs/portrait \\
      --out my_talker
  gmtalker bundle --from builtin --motion runs/motion --out my_talker      the rest stays as it was
  gmtalker bundle ... --dtype float16      half the size; what is heard and seen stays the same
"""

from collections.abc import Sequence

from gmtalker_jax.cli import arguments
from gmtalker_jax.core.errors import InputError


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker bundle`."""
  from gmtalker_jax.stages import STAGES

  parser = arguments.Parser('bundle', __doc__)
  for name in STAGES:
    parser.add_argument(f'--{name}', metavar='WORKDIR', help=f'--workdir of the trained {name}')
  parser.add_argument('--from', dest='origin', default='', metavar='TALKER', help='for the others')
  parser.add_argument('--out', required=True, metavar='DIR', help='the talker; replaced if there')
  parser.add_argument('--dtype', choices=('float32', 'float16'), default='float32')
  parser.add_argument('--seed', type=int, default=0, help='of the look (the style code)')
  parser.add_argument('--note', default='', help='free text for provenance.json')
  args = parser.read(argv)
  paths = {name: path for name in STAGES if (path := getattr(args, name))}
  missing = [name for name in STAGES if name not in paths]
  if missing and not args.origin:
    raise InputError(
      f'got no --{", --".join(missing)}, expected a WORKDIR for each, or --from TALKER'
    )

  from gmtalker_jax.inference import builtin, bundling, talker
  from gmtalker_jax.io import bundles

  if args.origin:
    who, provenance = bundling.into(talker.load(args.origin), paths)
    kept = bundles.provenance(builtin.path_of(args.origin))
    stayed = {name: kept[name] for name in missing if name in kept}
    provenance = {**stayed, **provenance, 'from': args.origin}
  else:
    who, provenance = bundling.from_workdirs(paths, args.seed)
  bundling.save(who, args.out, {'note': args.note, **provenance}, args.dtype)
  print(f'{args.out}: a talker of {_megabytes(args.out):.1f} MB, person {who.subject!r}')
  return 0


def _megabytes(directory: str) -> float:
  from pathlib import Path

  return sum(f.stat().st_size for f in Path(directory).iterdir()) / 1e6
