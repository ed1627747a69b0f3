"""From videos of somebody to a portrait of them that speaks with emotion.

One minute of a face that talks, in focus and without cuts, is enough; more is better. The last
15 % are held out and show what it can do. Everything is in OUT; OUT/person.html is one page about
it: open it in a browser. Run the same command again to go on where it was cut off.

examples:
  gmtalker person me.mp4 --out me                  128 pixels, about half an hour on two cores
  gmtalker person me.mp4 --out me --preset good    256 pixels, about an hour
  gmtalker person a.mp4 b.mp4 --out me --name Ann --emotions labels.csv
  gmtalker speak --talker me/talker --audio voice.wav --emotion happy --out talk.mp4

  --preset  quick | good | best (a night, 512 pixels) | accelerator (the whole network)
  --emotions  a CSV file of lines VIDEO,EMOTION for videos whose emotion is known

Film only people who agree to it.
"""

from collections.abc import Sequence
from pathlib import Path

from gmtalker_jax.cli import arguments, course, extras, person_steps


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker person`."""
  parser = arguments.Parser('person', __doc__)
  add = parser.add_argument
  add('videos', metavar='VIDEO', nargs='+', help='files, or a folder of them')
  add('--out', required=True, metavar='DIR', help='everything goes there')
  add('--preset', choices=tuple(person_steps.PRESETS), default='quick')
  add('--from', dest='origin', default='builtin', metavar='TALKER', help='begin with its weights')
  add('--name', default='', help='of the person (default: that of the first video)')
  add('--emotions', default='', metavar='CSV', help='emotions of the videos, where known')
  add('--dry-run', action='store_true', help='print the commands and stop')
  args = parser.read(argv)
  extras.require('person', 'prepare', 'report')

  from gmtalker_jax.inference import bundling, talker
  from gmtalker_jax.stages import STAGES

  who = talker.load(args.origin)
  models = {name: bundling.hyperparameters(getattr(who, name).module) for name in STAGES}
  origin = person_steps.Origin(args.origin, models, who.speech_encoder)
  preset, out = person_steps.PRESETS[args.preset], Path(args.out)
  steps = person_steps.steps(args.videos, out, preset, origin, args.name, args.emotions)
  if args.dry_run:
    print('\n'.join(step.command for step in steps))
    return 0
  code = course.run(steps, out, args.preset)
  return code or _report(out)


def _report(out: Path) -> int:
  from gmtalker_jax.evaluation import person_page

  page = person_page.build(out)
  print(f'\n{page}: open it in a browser ({course.minutes(out):.1f} minutes of work)')
  return 0
