"""One point of a sweep: its folder, its commands, and the lock that keeps it from being run twice.

DIR/points/ID/lock           locked by whoever is at work on it, down to the last of its processes
DIR/points/ID/run            what `gmtalker train` leaves
DIR/points/ID/metrics.json   what `gmtalker evaluate` found
DIR/points/ID/log.txt        what the commands said
DIR/points/ID/result.json    it is done: its numbers, and how long it took
DIR/points/ID/failed.json    how often it failed, and why the last time
"""

import contextlib
import dataclasses
import fcntl
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Literal

from gmtalker_jax.cli.sweep_plan import Plan, Point
from gmtalker_jax.io import files

State = Literal['done', 'running', 'open']
RESULT, FAILED, LOG, LOCK = 'result.json', 'failed.json', 'log.txt', 'lock'
PROGRAM = (sys.executable, '-m', 'gmtalker_jax.cli.main')
_STOPPED = (75, 130, -signal.SIGTERM, -signal.SIGINT)  # saved and stopped from outside: no failure


def folder(out: str | Path, point: Point) -> Path:
  """Where everything of a point is."""
  return Path(out) / 'points' / point.id


def state(path: Path, read: Sequence[str]) -> State:
  """Whether all of `read` is known, somebody is at work on it, or neither."""
  if is_done(path, read):
    return 'done'
  with _claimed(path, fcntl.LOCK_SH) as lock:
    return 'running' if lock is None else 'open'


def is_done(path: Path, read: Sequence[str]) -> bool:
  """Whether the numbers `read` are known."""
  return set(read) <= numbers(path).keys()


def numbers(path: Path) -> dict[str, float | None]:
  """What is known of a point; empty where it is not done."""
  return files.read_json(path / RESULT)['numbers'] if (path / RESULT).is_file() else {}


def failure(path: Path) -> dict[str, Any]:
  """How often a point has failed ('times') and why the last time ('reason')."""
  known = path / FAILED
  return files.read_json(known) if known.is_file() else {'times': 0, 'reason': ''}


def commands(path: Path, point: Point, plan: Plan) -> list[tuple[str, ...]]:
  """What is still to be run for a point, as arguments of `gmtalker`."""
  run, talker, metrics = path / 'run', path / 'talker', path / 'metrics.json'
  final = run / 'final.json'
  trained = final.is_file() and files.read_json(final)['step'] == point.steps
  todo: list[tuple[str, ...]] = []
  if not trained:
    todo.append(('train', *point.train, f'--workdir={run}'))
  known = files.read_json(metrics) if metrics.is_file() and trained else {}
  if not set(plan.measured) <= known.keys():
    todo += [
      ('bundle', '--from', point.talker, f'--{point.stage}', str(run), '--out', str(talker)),
      ('evaluate', '--talker', str(talker), *point.evaluate, '--out', str(metrics),
       '--metrics', ','.join(plan.measured)),
    ]  # fmt: skip
  return todo


@dataclasses.dataclass
class Job:
  """Runs one point in a process of its own, wherever that is. What submitit pickles.

  Attributes:
    out: the folder of the sweep.
    point, plan: which, of what.
    failures: of the point when this job was made: one more, and somebody else has tried since.
    devices: CUDA_VISIBLE_DEVICES of the driver; submitit's local executor hides them.
    program: what `gmtalker` is; tests put a toy in its place.
  """

  out: str
  point: Point
  plan: Plan
  failures: int
  devices: str | None = None
  program: tuple[str, ...] = PROGRAM
  process: subprocess.Popen | None = None

  def __call__(self) -> None:
    """Does what is missing, unless somebody else is at it or has done it."""
    path = folder(self.out, self.point)
    with _claimed(path, fcntl.LOCK_EX) as lock:
      if lock is None or is_done(path, self.plan.read) or failure(path)['times'] > self.failures:
        return
      began = time.monotonic()
      for arguments in commands(path, self.point, self.plan):
        code, said = self._run(path, arguments, lock)
        if code:
          if code not in _STOPPED:
            _fail(path, _reason(code, said))
          return
      self._conclude(path, time.monotonic() - began)

  def checkpoint(self) -> Any:
    """The cluster takes the machine away: saves, and goes on when it is given another."""
    import submitit

    self._stop()
    if self.process:
      self.process.wait()
    return submitit.helpers.DelayedSubmission(dataclasses.replace(self, process=None))

  def _run(self, path: Path, arguments: Sequence[str], lock: int) -> tuple[int, str]:
    """Runs one command; returns its code and the last line of what it said."""
    command = [*self.program, *arguments]
    with (path / LOG).open('a+') as log:
      log.write(f'$ {shlex.join(("gmtalker", *arguments))}\n')
      log.flush()
      start = log.tell()
      # The lock goes along: whoever outlives this process still holds the point.
      self.process = subprocess.Popen(
        command, stdout=log, stderr=subprocess.STDOUT, env=self._environment(), pass_fds=[lock]
      )
      try:
        code = self.process.wait()
      except BaseException:
        self._stop()
        raise
      log.seek(start)
      lines = [line for line in log.read().replace('\r', '\n').splitlines() if line.strip()]
    return code, lines[-1].strip() if lines else ''

  def _environment(self) -> dict[str, str]:
    """Of a command: as found, but that a local job sees the devices that its driver saw."""
    found = dict(os.environ)
    if found.get('SUBMITIT_EXECUTOR') == 'local':
      found.pop('CUDA_VISIBLE_DEVICES', None)
      found |= {} if self.devices is None else {'CUDA_VISIBLE_DEVICES': self.devices}
    return found

  def _conclude(self, path: Path, seconds: float) -> None:
    final = files.read_json(path / 'run' / 'final.json')
    measured = files.read_json(path / 'metrics.json') if self.plan.measured else {}
    found = {k: v for k, v in final.items() if '/' in k} | {
      name: measured[name] for name in self.plan.measured
    }
    if missing := sorted(set(self.plan.read) - found.keys()):
      _fail(path, f'got no {missing[0]!r}, expected one of {", ".join(sorted(found))}')
      return
    files.write_json(path / RESULT, {'numbers': found, 'seconds': round(seconds, 1)})
    (path / FAILED).unlink(missing_ok=True)

  def _stop(self) -> None:
    if self.process and self.process.poll() is None:
      self.process.terminate()


def _fail(path: Path, reason: str) -> None:
  files.write_json(path / FAILED, {'times': failure(path)['times'] + 1, 'reason': reason})


def _reason(code: int, said: str) -> str:
  if code < 0:
    died = signal.Signals(-code).name
    return f'killed by {died}' + (' (out of memory?)' if died == 'SIGKILL' else '')
  return said or f'code {code}'


@contextlib.contextmanager
def _claimed(path: Path, kind: int, tries: int = 20) -> Generator[int | None, None, None]:
  """Yields the lock of a point as a file descriptor; None where somebody else has it.

  A look at the state holds it for a moment too (LOCK_SH), so whoever means it tries again.
  """
  path.mkdir(parents=True, exist_ok=True)
  lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT)
  try:
    for left in reversed(range(tries if kind == fcntl.LOCK_EX else 1)):
      try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
        break
      except BlockingIOError:
        if not left:
          yield None
          return
        time.sleep(0.05)
    yield lock
  finally:
    os.close(lock)
