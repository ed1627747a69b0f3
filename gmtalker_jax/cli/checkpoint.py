"""Look after the checkpoints of a training: which there are, whether they are whole, which may go.

examples:
  gmtalker checkpoint list runs/expression
  gmtalker checkpoint verify runs/expression
  gmtalker checkpoint prune runs/expression --keep 1 --keep-every 10000 --dry-run

list     each step, its size and when it was saved
verify   reads every array and document and compares it with the digest that was made of it in
         memory; names whatever is not what was saved; exit code 1 if anything is not. A restart
         does the same and takes the newest step that is whole, so nothing needs to be removed
prune    removes old steps: the newest --keep stay, the multiples of --keep-every stay, and the
         newest step that is whole always stays. --dry-run only says which would go
"""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from gmtalker_jax.cli import arguments
from gmtalker_jax.core.errors import InputError

ACTIONS = ('list', 'verify', 'prune')


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker checkpoint`."""
  parser = arguments.Parser('checkpoint', __doc__)
  add = parser.add_argument
  add('action', choices=ACTIONS)
  add('workdir', metavar='WORKDIR', help='the --workdir of a training')
  add('--step', type=arguments.whole, help='verify: this one alone')
  add('--keep', type=arguments.count, default=1, help='prune: so many of the newest (default 1)')
  add(
    '--keep-every', type=arguments.whole, default=0, help='prune: and multiples of this; 0 = none'
  )
  add('--dry-run', action='store_true', help='prune: only say what would go')
  args = parser.read(argv)

  from gmtalker_jax.io import steps, workdir

  directory = Path(args.workdir).absolute() / workdir.CHECKPOINTS
  found = steps.find(directory)
  if not found:
    raise InputError(
      f'got {args.workdir!r} without a checkpoint, expected the --workdir of `gmtalker train`'
    )
  if args.action == 'list':
    return _list(directory, found)
  if args.action == 'verify':
    return _verify(directory, found, args.step)
  return _prune(directory, found, args)


def _list(directory: Path, found: Sequence[int]) -> int:
  for step in found:
    path = directory / str(step)
    size = sum(p.stat().st_size for p in path.rglob('*') if p.is_file()) / 1e6
    when = time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(path.stat().st_mtime))
    print(f'step {step:<10} {size:10.1f} MB  {when}')
  return 0


def _verify(directory: Path, found: Sequence[int], step: int | None) -> int:
  from gmtalker_jax.io import steps

  if step is not None and step not in found:
    raise InputError(f'got step {step}, expected one of {list(found)}')
  damaged = 0
  for each in found if step is None else [step]:
    problems = list(steps.problems(directory / str(each)))
    damaged += bool(problems)
    print(f'step {each}: {"whole" if not problems else "damaged"}')
    for problem in problems:
      print(f'  {problem}')
  return int(damaged > 0)


def _prune(directory: Path, found: Sequence[int], args) -> int:
  from gmtalker_jax.io import steps

  whole = next((s for s in found if not any(steps.problems(directory / str(s)))), None)
  if whole is None:
    raise InputError(f'got no whole step in {directory}, expected one to keep; nothing was removed')
  stay = steps.kept(found, args.keep, args.keep_every) | {whole}
  for step in found:
    if step in stay:
      print(f'step {step} stays')
    elif args.dry_run:
      print(f'step {step} would go')
    else:
      shutil.rmtree(directory / str(step))
      print(f'step {step} is removed')
  return 0
