"""Weights from PyTorch into a talker.

examples:
  gmtalker import --from exported --out talker     what `gmtalker export` wrote, bit for bit

The weights of an exported folder may have been trained on in PyTorch (`gmtalker_torch.save`). Files
are read as numbers only; nothing in them is run.
"""

from collections.abc import Sequence

from gmtalker_jax.cli import arguments, extras


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker import`."""
  parser = arguments.Parser('import', __doc__)
  add = parser.add_argument
  add('--from', dest='source', required=True, metavar='DIR', help='an exported folder')
  add('--out', required=True, metavar='DIR', help='the talker; replaced if there')
  args = parser.read(argv)
  extras.require('import', 'torch')

  from gmtalker_jax.export import importing

  talker = importing.import_folder(args.source, args.out)
  print(f'{args.out}: a talker, person {talker.subject!r}')
  return 0
