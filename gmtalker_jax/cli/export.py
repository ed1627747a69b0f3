"""A talker for PyTorch: a folder of weights and of code that runs them, compared layer by layer.

examples:
  gmtalker export --talker builtin --out exported
  cd exported && python -m gmtalker_torch voice.wav --emotion happy     needs no JAX
  gmtalker export --talker builtin --check exported     compare a folder with its talker again

Every layer is run beside its original, and a talk from sound to pictures. If any differs, it is
named, nothing is written, and the exit code is 1.
"""

import sys
from collections.abc import Sequence

from gmtalker_jax.cli import arguments, extras
from gmtalker_jax.core.errors import InputError


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker export`."""
  parser = arguments.Parser('export', __doc__)
  add = parser.add_argument
  add(
    '--talker',
    default='builtin',
    metavar='DIR',
    help='made by `gmtalker bundle`; or builtin[:NAME]',
  )
  add('--out', metavar='DIR', help='the folder for PyTorch; an older one is replaced')
  add('--onnx', action='store_true', help='decoders, flow and painter as ONNX too (a minute)')
  add('--check', metavar='DIR', help='instead: compare this exported folder with --talker')
  args = parser.read(argv)
  if (args.out is None) == (args.check is None):
    raise InputError('got neither or both of --out and --check, expected one; see --help')
  extras.require('export', 'torch')

  from gmtalker_jax.export import exporting, parity

  try:
    if args.check is not None:
      layers = exporting.check_folder(args.talker, args.check)
    else:
      layers = exporting.export(args.talker, args.out, args.onnx)
  except parity.ParityError as error:
    print(f'gmtalker: not verified: {error}', file=sys.stderr)
    return 1
  worst = max(layers, key=lambda layer: layer.relative)
  print(
    f'{args.check or args.out}: {len(layers)} layers are the same in PyTorch; the largest relative '
    f'difference is {worst.relative:.1e} ({worst.name})'
  )
  return 0
