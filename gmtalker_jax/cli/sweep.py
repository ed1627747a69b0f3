"""Run every point of a question: one training for each choice and seed, then `gmtalker table`.

examples:
  gmtalker sweep experiments/ablations/mixture.py --out runs/mixture
  gmtalker sweep experiments/ablations/mixture.py --out runs/mixture --jobs 4 \\
      --set data.records=records/mead
  gmtalker sweep FILE --out DIR --executor slurm --jobs 16 --slurm partition=gpu gpus_per_node=1
  gmtalker sweep FILE --out DIR --executor print     the commands of what is missing: for pods
  gmtalker table runs/mixture

Run the same command again to go on: what is done stays done, what failed is tried once more. A
point that fails leaves its log and does not stop the others. FILE may change meanwhile; new points
join. Two drivers on one DIR share the work. Ctrl-C saves and stops the runs of this driver; a
killed driver leaves them running.
"""

import os
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gmtalker_jax.cli import arguments, extras, sweep_plan, sweep_point
from gmtalker_jax.cli.sweep_plan import Plan, Point
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import files

PLAN = 'plan.json'
EXECUTORS = ('local', 'slurm', 'print')
_DAYS = 14 * 24 * 60  # minutes: submitit ends a local job after two, unless told otherwise
_LOOK = 0.5  # seconds between two looks at the points


def main(argv: Sequence[str], program: tuple[str, ...] = sweep_point.PROGRAM) -> int:
  """Runs `gmtalker sweep`: 0 all points are done, 1 some are not."""
  parser = arguments.Parser('sweep', __doc__ or '')
  add = parser.add_argument
  add('file', metavar='FILE', help='QUESTION, BASE, GRID, READ; see experiments/ablations')
  add('--out', required=True, metavar='DIR', help='everything goes there')
  add('--executor', choices=EXECUTORS, default='local')
  add('--jobs', type=arguments.count, default=1, help='points at once (default 1)')
  add('--set', nargs='+', default=[], metavar='KEY=VALUE', help='keys of BASE')
  add('--slurm', nargs='+', default=[], metavar='NAME=VALUE', help="of submitit's slurm executor")
  args = parser.read(argv)
  extras.require('sweep', 'sweep')
  changes = pairs('--set', args.set)
  plan = sweep_plan.read(args.file, changes)
  out = Path(args.out)
  if args.executor == 'print':
    _print(plan, out)
    return 0
  executor = _executor(args.executor, out, args.jobs, pairs('--slurm', args.slurm))
  watched = _Watched(Path(args.file), changes, plan)
  at_once = args.jobs if args.executor == 'local' else None  # SLURM counts for itself
  return _Driver(watched, out, executor, at_once, program).run()


def pairs(flag: str, given: Sequence[str]) -> dict[str, str]:
  """NAME=VALUE texts as a dictionary."""
  for text in given:
    if '=' not in text:
      raise InputError(f'got {flag} {text!r}, expected NAME=VALUE')
  return dict(text.split('=', 1) for text in given)


class _Watched:
  """The plan, read anew when its file changes; a file that cannot be read leaves it as it was."""

  def __init__(self, path: Path, changes: Mapping[str, str], plan: Plan):
    self._path, self._changes, self.plan = path, changes, plan
    self._text = path.read_bytes()

  def look(self) -> bool:
    """Whether there is another plan now."""
    try:
      text = self._path.read_bytes()
      if text == self._text:
        return False
      self._text = text
      self.plan = sweep_plan.read(self._path, self._changes)
    except (OSError, InputError) as error:
      _say(f'the plan stays as it was: {error}')
      return False
    return True


class _Driver:
  """Hands out what is open, and tells what has become of it."""

  def __init__(
    self,
    watched: _Watched,
    out: Path,
    executor: Any,
    at_once: int | None,
    program: tuple[str, ...],
  ):
    self._program = program
    self._watched, self._out, self._executor, self._at_once = watched, out, executor, at_once
    self._jobs: dict[str, Any] = {}  # by point: what this driver has begun
    self._failures: dict[str, int] = {}  # by point: when this driver first saw it
    self._told: set[str] = set()
    self._new, self._began = 0, time.monotonic()

  def run(self) -> int:
    """Until nothing is open or at work; returns the exit code."""
    self._write_plan()
    try:
      while self._turn():
        time.sleep(_LOOK)
    except KeyboardInterrupt:
      for job in self._jobs.values():
        if not job.done():
          job.cancel()
      raise
    return self._end()

  def _turn(self) -> bool:
    """One look at all points; returns whether there is more to wait for."""
    if self._watched.look():
      self._write_plan()
      _say(f'the plan has changed: {len(self._plan.points)} points')
    states = {p.id: sweep_point.state(self._folder(p), self._plan.read) for p in self._plan.points}
    for point in self._plan.points:
      self._failures.setdefault(point.id, sweep_point.failure(self._folder(point))['times'])
      self._tell(point, states[point.id])
    # SLURM is asked now and then: what a point left is known sooner.
    busy = [job for name, job in self._jobs.items() if name not in self._told and not job.done()]
    waiting = [p for p in self._plan.points if states[p.id] == 'open' and self._is_untried(p)]
    free = len(waiting) if self._at_once is None else self._at_once - len(busy)
    self._begin(waiting[: max(0, free)])
    return bool(busy or waiting or 'running' in states.values())

  def _is_untried(self, point: Point) -> bool:
    return point.id not in self._jobs and not self._has_failed(point)

  def _has_failed(self, point: Point) -> bool:
    """Since this driver began, whoever tried."""
    times = sweep_point.failure(self._folder(point))['times']
    return times > self._failures.get(point.id, 0)

  def _begin(self, points: Sequence[Point]) -> None:
    if not points:
      return
    plan = self._plan
    visible = os.environ.get('CUDA_VISIBLE_DEVICES')
    with self._executor.batch():
      for point in points:
        known = self._failures[point.id]
        job = sweep_point.Job(str(self._out), point, plan, known, visible, self._program)
        self._jobs[point.id] = self._executor.submit(job)

  def _tell(self, point: Point, state: str) -> None:
    """One line when a point ends. What was done before this driver began is not news."""
    if point.id in self._told or not (state == 'done' or self._has_failed(point)):
      return
    self._told.add(point.id)
    if state == 'done' and point.id not in self._jobs and not self._new:
      return
    self._new += 1
    rest = len(self._plan.points) - len(self._told)
    left = (time.monotonic() - self._began) / self._new * rest / 60
    ending = f'; about {left:.0f} minutes left' if rest else ''
    path = self._folder(point)
    how = 'done' if state == 'done' else _failed(path)
    _say(f'[{len(self._told)}/{len(self._plan.points)}] {point.name}: {how}{ending}')

  def _end(self) -> int:
    done = [p for p in self._plan.points if sweep_point.is_done(self._folder(p), self._plan.read)]
    missing = [p for p in self._plan.points if p not in done]
    for point in missing:
      if not self._has_failed(point):
        _say(f'{point.name}: was stopped; log: {self._folder(point) / sweep_point.LOG}')
    _say(f'{len(done)} of {len(self._plan.points)} points are done; gmtalker table {self._out}')
    return 1 if missing else 0

  @property
  def _plan(self) -> Plan:
    return self._watched.plan

  def _folder(self, point: Point) -> Path:
    return sweep_point.folder(self._out, point)

  def _write_plan(self) -> None:
    """For `gmtalker table`."""
    points = [{'id': p.id, 'choices': p.choices} for p in self._plan.points]
    document = {'question': self._plan.question, 'read': self._plan.read, 'points': points}
    files.write_json(self._out / PLAN, document)


def _failed(path: Path) -> str:
  reason = ' '.join(str(sweep_point.failure(path)['reason']).split())
  return f'failed ({reason}); log: {path / sweep_point.LOG}'


def _print(plan: Plan, out: Path) -> None:
  for point in plan.points:
    path = sweep_point.folder(out, point)
    if not sweep_point.is_done(path, plan.read):
      print(f'# {point.name}')
      for command in sweep_point.commands(path, point, plan):
        print(shlex.join(('gmtalker', *command)))


def _executor(kind: str, out: Path, jobs: int, slurm: Mapping[str, str]) -> Any:
  """A submitit executor. Raises InputError where there is no SLURM or a parameter is unknown."""
  import submitit

  try:
    out.mkdir(parents=True, exist_ok=True)
    executor = submitit.AutoExecutor(out / 'jobs' / '%j', cluster=kind)
    executor.update_parameters(timeout_min=_DAYS, stderr_to_stdout=True)
    if kind == 'slurm':
      named = {k if k in ('timeout_min', 'gpus_per_node') else f'slurm_{k}': _value(v)
               for k, v in slurm.items()}  # fmt: skip
      executor.update_parameters(slurm_array_parallelism=jobs, **named)
  except OSError as error:
    raise InputError(f'cannot use --out {str(out)!r}: {error}; choose another') from None
  except (RuntimeError, NameError, ValueError, TypeError) as error:
    raise InputError(f'cannot use --executor {kind}: {error}') from None
  return executor


def _value(text: str) -> int | str:
  return int(text) if text.isdigit() else text


def _say(line: str) -> None:
  print(line, file=sys.stderr, flush=True)
