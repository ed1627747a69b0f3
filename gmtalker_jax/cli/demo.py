"""The whole path on a small corpus: make it, learn from it, measure, speak, and report.

Runs the real commands one after another and prints them. OUT/report.html is one page with
everything: open it in a browser. A demo that was cut off goes on when started again.

examples:
  gmtalker demo --out demo                    less than twenty minutes on two cores
  gmtalker demo --out demo --preset smoke     a few minutes; shows that it runs, not what it can do
  gmtalker demo --out demo --dry-run          only print the commands
"""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gmtalker_jax.cli import arguments, extras, plan
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import files


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker demo`."""
  parser = arguments.Parser('demo', __doc__)
  add = parser.add_argument
  add('--out', default='demo', metavar='DIR', help='everything goes there (default demo)')
  add('--preset', choices=tuple(plan.PRESETS), default='demo')
  add('--dry-run', action='store_true', help='print the commands and stop')
  args = parser.read(argv)
  out = Path(args.out)
  steps = plan.steps(out, plan.PRESETS[args.preset], _has_builtin())
  if args.dry_run:
    print('\n'.join(step.command for step in steps))
    return 0
  extras.require('demo', 'prepare', 'corpus', 'report')
  diary = _Diary(out, args.preset)
  for number, step in enumerate(steps, 1):
    print(f'\n[{number}/{len(steps)}] {step.name}\n$ {step.command}', flush=True)
    if diary.has(step):
      print('already done', flush=True)
      continue
    code, seconds = _run(step, out)
    if code:
      print(f'gmtalker: the step {step.name!r} ended with code {code}', file=sys.stderr)
      return code
    diary.add(step, seconds)
    print(f'{seconds:.0f} s, {diary.total:.0f} s together', flush=True)
  return _report(out, diary.total)


def _report(out: Path, total: float) -> int:
  from gmtalker_jax.evaluation import report

  page = report.build(out)
  print(f'\n{page}: open it in a browser ({total / 60:.1f} minutes of work)')
  return 0


def _has_builtin() -> bool:
  from importlib import resources

  talker = resources.files('gmtalker_jax') / 'inference' / 'talkers' / 'builtin' / 'talker.json'
  return talker.is_file()


def _run(step: plan.Step, out: Path) -> tuple[int, float]:
  """Runs one command in a process of its own, as its user would; returns its code and seconds."""
  for folder in (out / 'records', out / 'runs', out / 'builtin'):
    folder.mkdir(parents=True, exist_ok=True)
  started = time.monotonic()
  command = [sys.executable, '-m', 'gmtalker_jax.cli.main', *step.arguments]
  # What one step compiles the next one loads: half of them speak with the same networks.
  cache = {
    'JAX_COMPILATION_CACHE_DIR': str((out / 'compiled').resolve()),
    'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0.5',
  }
  code = subprocess.run(command, check=False, env=cache | os.environ).returncode
  return code, time.monotonic() - started


class _Diary:
  """OUT/times.json: what was run and how long it took; a finished step is not run again."""

  def __init__(self, out: Path, preset: str):
    self._path = out / 'times.json'
    self._values: dict[str, Any] = {'preset': preset, 'machine': _machine(), 'steps': []}
    try:
      out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
      raise InputError(f'cannot use --out {str(out)!r}: {error}; choose another') from None
    if self._path.is_file():
      self._values = files.read_json(self._path)
    if self._values['preset'] != preset:
      raise InputError(
        f'got --preset {preset}, but {str(out)!r} holds a demo of {self._values["preset"]!r}; '
        'choose another --out or remove it'
      )

  @property
  def total(self) -> float:
    return sum(step['seconds'] for step in self._values['steps'])

  def has(self, step: plan.Step) -> bool:
    return any(done['command'] == step.command for done in self._values['steps'])

  def add(self, step: plan.Step, seconds: float) -> None:
    entry = {'name': step.name, 'seconds': round(seconds, 1), 'command': step.command}
    self._values['steps'].append(entry)
    files.write_json(self._path, self._values)


def _machine() -> str:
  return f'{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}'
