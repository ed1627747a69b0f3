"""Where the time of a training went, with all its restarts; from the files in its workdir.

examples:
  gmtalker goodput runs/expression
  gmtalker goodput runs/expression --json goodput.json

steps        steps that count: goodput. All else is badput
data wait    the loop waited for a batch
checkpoint   the loop waited for a save
compile      the first step of each start
start        records opened and checked, a checkpoint restored
lost         reported steps that had to be made again after a restart
between      from the last report to the next start: nobody at work, or steps never reported
rest         evaluation, reports, the last save
"""

from collections.abc import Sequence

from gmtalker_jax.cli import arguments


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker goodput`."""
  parser = arguments.Parser('goodput', __doc__ or '')
  parser.add_argument('workdir', metavar='WORKDIR', help='the --workdir of a training')
  parser.add_argument('--json', help='a file for the numbers')
  args = parser.read(argv)
  from gmtalker_jax.io import files
  from gmtalker_jax.train import goodput

  found = goodput.of(args.workdir)
  values = found._asdict()
  total, starts = values.pop('all'), values.pop('sessions')
  print(f'{args.workdir}: {total:.1f} s, started {starts} times, goodput {found.goodput:.1%}')
  for name, seconds in values.items():
    print(f'{name.replace("_", " "):12} {seconds / max(total, 1e-9):7.1%} {seconds:12.1f} s')
  if args.json:
    files.write_json(args.json, {**found._asdict(), 'goodput': found.goodput})
  return 0
