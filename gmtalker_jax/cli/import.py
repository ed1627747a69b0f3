"""Weights from PyTorch into a talker.

examples:
  gmtalker import --from exported --out talker     what `gmtalker export` wrote, bit for bit
  gmtalker import --from 100000.pt --talker builtin --out begun     the public StyleUNet

The weights of an exported folder may have been trained on in PyTorch (`gmtalker_torch.save`). The
public StyleUNet (a training file of StyleAvatar's, keys g_ema, g, d) becomes the painter of
--talker; its emotion mapping begins anew, so train it: config.init_from=begun in
configs/portrait.py, with the sizes of that file. Files are read as numbers; nothing is run.
"""

import os
from collections.abc import Sequence

from gmtalker_jax.cli import arguments, extras


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker import`."""
  parser = arguments.Parser('import', __doc__)
  add = parser.add_argument
  add(
    '--from', dest='source', required=True, metavar='PATH', help='an exported folder, or a .pt file'
  )
  add('--talker', default='builtin', metavar='DIR', help='for a .pt file: whose painter it becomes')
  add('--out', required=True, metavar='DIR', help='the talker; replaced if there')
  args = parser.read(argv)
  extras.require('import', 'torch')

  from gmtalker_jax.export import importing

  if os.path.isfile(args.source):
    talker = importing.import_public(args.source, args.talker, args.out)
  else:
    talker = importing.import_folder(args.source, args.out)
  print(f'{args.out}: a talker, person {talker.subject!r}')
  return 0
