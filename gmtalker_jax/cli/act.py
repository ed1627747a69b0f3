"""Records of somebody who was filmed in one mood, acted in the other emotions too.

The faces of the training clips are changed as a talker's expression generator changes with the
emotion; sound, speech features and head motion stay. Train an expression generator on them: tuned
on one mood alone, it unlearns the emotions. There are no pictures in the new records.

examples:
  gmtalker act --talker builtin --records me/records --out me/acted
"""

from collections.abc import Sequence
from pathlib import Path

from gmtalker_jax.cli import arguments, extras, shipped
from gmtalker_jax.core.errors import InputError


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker act`."""
  parser = arguments.Parser('act', __doc__)
  add = parser.add_argument
  add('--talker', default='builtin', metavar='DIR', help='that knows the emotions')
  add('--records', required=True, metavar='DIR', help='of `gmtalker prepare person`')
  add('--out', required=True, metavar='DIR')
  add('--seed', type=int, default=0)
  add('--strength', type=float, metavar='S', help='of the change; 1 = as in TALKER (default 1.75)')
  args = parser.read(argv)
  extras.require('act', 'prepare')

  from tqdm import tqdm

  from gmtalker_jax import speech
  from gmtalker_jax.data import schema, source
  from gmtalker_jax.inference import acting, talker

  who = talker.load(args.talker)
  splits = {}
  for split in ('train', 'test'):
    opened = source.open_records(args.records, split)
    splits[split] = [opened[i] for i in range(len(opened))]
  heard = speech.open(who.speech_encoder).identity
  spoken = {record['speech_encoder'] for record in splits['train']}
  if spoken != {heard}:
    raise InputError(
      f'got records with speech features of {sorted(spoken)}, expected {heard!r} as the talker '
      f'{args.talker!r} hears; prepare them with --encoder {who.speech_encoder}'
    )
  strength = acting.STRENGTH if args.strength is None else args.strength
  if not 0 < strength <= 3:
    raise InputError(f'got --strength {strength:g}, expected more than 0 and at most 3')
  acted = acting.performances(who, splits['train'], args.seed, strength)
  bar = tqdm(acted, desc='acting', unit='clip', delay=1, leave=False,
             total=len(splits['train']) * len(schema.EMOTIONS))  # fmt: skip
  kept = ({**record, 'frames': [], 'renderings': []} for record in splits['test'])
  build = shipped.module('data_pipelines.build')
  made = build.write_records({'train': bar, 'test': kept}, Path(args.out), 'acted')
  print(f'{made}: {len(splits["train"])} clips in {len(schema.EMOTIONS)} emotions')
  return 0
