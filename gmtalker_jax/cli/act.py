"""Records of somebody who was filmed in one mood, acted in the other emotions too.

The faces of the training clips are changed as a talker's expression generator changes with the
emotion; sound, speech features and head motion stay. Train an expression generator on them: tuned
on one mood alone, it unlearns the emotions. There are no pictures in these records.

With --pictures they are for a painter: beside the clips as they were filmed, each frame once more
in one of the emotions, its photograph bent to the acted face.

examples:
  gmtalker act --talker builtin --records me/records --out me/acted
  gmtalker act --talker builtin --records me/records --out me/pictured --pictures
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

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
  add('--pictures', action='store_true', help='for a painter: photographs, as filmed and as acted')
  args = parser.read(argv)
  extras.require('act', 'prepare')

  from tqdm import tqdm

  from gmtalker_jax import speech
  from gmtalker_jax.data import source
  from gmtalker_jax.inference import acting, talker
  from gmtalker_jax.io import people

  who = talker.load(args.talker)
  train = source.open_records(args.records, 'train')
  clips = [train[i] for i in range(len(train))]
  heard = speech.open(who.speech_encoder).identity
  spoken = {record['speech_encoder'] for record in clips}
  if spoken != {heard}:
    raise InputError(
      f'got records with speech features of {sorted(spoken)}, expected {heard!r} as the talker '
      f'{args.talker!r} hears; prepare them with --encoder {who.speech_encoder}'
    )
  strength = acting.STRENGTH if args.strength is None else args.strength
  if not 0 < strength <= 3:
    raise InputError(f'got --strength {strength:g}, expected more than 0 and at most 3')
  emotions = acting.missing(clips)
  shown = {subject: people.from_json(values) for subject, values in train.people.items()}
  if args.pictures:
    acted = _pictured(args.records, who, emotions, args.seed, strength, shown)
  else:
    acted = acting.performances(who, clips, args.seed, strength)
  bar = tqdm(acted, 'acting', len(clips) * (len(emotions) + 1), leave=False, unit='record', delay=1)
  test = source.open_records(args.records, 'test', args.pictures)
  kept = ({'frames': [], 'renderings': [], **test[i]} for i in range(len(test)))
  build = shipped.module('data_pipelines.build')
  made = build.write_records({'train': bar, 'test': kept}, Path(args.out), 'acted', people=shown)
  print(f'{made}: {len(clips)} clips, also {", ".join(emotions) or "nothing"}')
  return 0


def _pictured(
  records: str,
  who: Any,
  emotions: Sequence[str],
  seed: int,
  strength: float,
  shown: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
  """The clips as they were filmed, and after each its parts as acted, with photographs."""
  from gmtalker_jax.data import source
  from gmtalker_jax.face.person import Person
  from gmtalker_jax.inference import acting

  acted = shipped.module('data_pipelines.acted')
  clips = source.open_records(records, 'train', with_frames=True)  # one in memory at a time
  for number in range(len(clips)):
    clip = clips[number]
    if not len(clip['frames']):
      raise InputError(f'got no pictures in {records!r}, expected some; prepare with frames')
    yield clip
    person = shown.get(clip['subject']) or Person.plain(clip['identity'])
    for filmed, played in acting.parts(who, clip, emotions, seed + number, strength):
      yield acted.pictured(filmed, played, who.head, person)
