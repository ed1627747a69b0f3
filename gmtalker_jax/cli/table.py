"""The numbers of a sweep: a line for each choice, its mean and spread over seeds, and the holes.

examples:
  gmtalker table runs/mixture

Writes table.md, table.csv, table.tex and table.html (with the curves of training) into the folder,
and prints the first. A cell is the mean ± the standard deviation (n - 1) over the seeds that are
done; "seeds 2/3" says that one is missing, and a line below why. A second table holds how each row
differs from the first, compared seed by seed, with the 95 % interval of the mean (Student's t).
"""

from collections.abc import Sequence
from pathlib import Path

from gmtalker_jax.cli import arguments, extras, sweep, sweep_point
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import files


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker table`."""
  parser = arguments.Parser('table', __doc__ or '')
  parser.add_argument('folder', metavar='DIR', help='--out of `gmtalker sweep`')
  out = Path(parser.read(argv).folder)
  if not (out / sweep.PLAN).is_file():
    raise InputError(f'got {str(out)!r}, expected the --out of a `gmtalker sweep`')
  extras.require('table', 'report')

  from gmtalker_jax.evaluation import sweep_table

  plan = files.read_json(out / sweep.PLAN)
  runs = [_run(out / 'points' / point['id'], point['choices']) for point in plan['points']]
  text = sweep_table.write(out, plan['question'], plan['read'], runs)
  print(text, end='')
  return 0


def _run(path: Path, choices: dict[str, str]):
  from gmtalker_jax.evaluation.sweep_table import Run

  found = sweep_point.numbers(path)
  reason = '' if found else str(sweep_point.failure(path)['reason']) or 'not done'
  return Run(choices, found, path / 'run', ' '.join(reason.split()))
