"""The whole path on a small corpus: make it, learn from it, measure, speak, and report.

Runs the real commands one after another and prints them. OUT/report.html is one page with
everything: open it in a browser. A demo that was cut off goes on when started again.

examples:
  gmtalker demo --out demo                    less than twenty minutes on two cores
  gmtalker demo --out demo --preset smoke     a few minutes; shows that it runs, not what it can do
  gmtalker demo --out demo --dry-run          only print the commands
"""

from collections.abc import Sequence
from pathlib import Path

from gmtalker_jax.cli import arguments, course, demo_steps, extras
from gmtalker_jax.inference import builtin


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker demo`."""
  parser = arguments.Parser('demo', __doc__)
  add = parser.add_argument
  add('--out', default='demo', metavar='DIR', help='everything goes there (default demo)')
  add('--preset', choices=tuple(demo_steps.PRESETS), default='demo')
  add('--dry-run', action='store_true', help='print the commands and stop')
  args = parser.read(argv)
  out = Path(args.out)
  steps = demo_steps.steps(out, demo_steps.PRESETS[args.preset], bool(builtin.names()))
  if args.dry_run:
    print('\n'.join(step.command for step in steps))
    return 0
  extras.require('demo', 'prepare', 'corpus', 'report')
  code = course.run(steps, out, args.preset)
  return code or _report(out)


def _report(out: Path) -> int:
  from gmtalker_jax.evaluation import report

  page = report.build(out)
  print(f'\n{page}: open it in a browser ({course.minutes(out):.1f} minutes of work)')
  return 0
