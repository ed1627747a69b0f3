"""Commands one after another, each in a process of its own; what was cut off goes on.

OUT/times.json is the diary: what was run and how long it took. A finished step is not run again;
what follows a step is made of what it wrote, so a folder holds the steps of one kind and input.
"""

import contextlib
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import files

DIARY = 'times.json'


class Step(NamedTuple):
  """One command. `arguments` follow `gmtalker`."""

  name: str
  arguments: tuple[str, ...]
  share: float = 1.0  # of the time of all steps, about

  @property
  def command(self) -> str:
    """As one would type it."""
    return shlex.join(('gmtalker', *self.arguments))


def run(steps: Sequence[Step], out: Path, kind: str) -> int:
  """Runs the steps that are not done yet; returns the code of the first that fails, or 0.

  Args:
    steps: commands that write below `out`.
    out: the folder; made if it is not there.
    kind: of the steps, such as the name of a preset; a folder holds one kind.

  Raises InputError: `out` holds another kind or was begun with other commands, or cannot be used.
  """
  diary = _Diary(out, kind)
  diary.check(steps)
  for number, step in enumerate(steps, 1):
    print(f'\n[{number}/{len(steps)}] {step.name}\n$ {step.command}', flush=True)
    if diary.has(step):
      print('already done', flush=True)
      continue
    code, seconds = _run(step, out)
    if code:
      print(f'gmtalker: the step {step.name!r} ended with code {code}', file=sys.stderr)
      with contextlib.suppress(OSError):
        out.rmdir()  # of a first step that refused its input nothing is left
      return code
    diary.add(step, seconds)
    print(f'{seconds:.0f} s, {diary.total:.0f} s together{_left(steps, diary)}', flush=True)
  return 0


def minutes(out: Path) -> float:
  """How long all steps that are done took."""
  return sum(step['seconds'] for step in files.read_json(out / DIARY)['steps']) / 60


def _left(steps: Sequence[Step], diary: '_Diary') -> str:
  """The time left, by the shares of what is done; '' at the end."""
  rest = sum(step.share for step in steps if not diary.has(step))
  done = sum(step.share for step in steps) - rest
  return f'; about {diary.total * rest / done / 60:.0f} minutes left' if rest and done else ''


def _run(step: Step, out: Path) -> tuple[int, float]:
  """Runs one command in a process of its own, as its user would; returns its code and seconds."""
  started = time.monotonic()
  command = [sys.executable, '-m', 'gmtalker_jax.cli.main', *step.arguments]
  code = subprocess.run(command, check=False).returncode
  return code, time.monotonic() - started


class _Diary:
  def __init__(self, out: Path, kind: str):
    self._path = out / DIARY
    self._values: dict[str, Any] = {'preset': kind, 'machine': _machine(), 'steps': []}
    try:
      out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
      raise InputError(f'cannot use --out {str(out)!r}: {error}; choose another') from None
    if self._path.is_file():
      self._values = files.read_json(self._path)
    if self._values['preset'] != kind:
      raise InputError(
        f'got --preset {kind}, but {str(out)!r} holds one of {self._values["preset"]!r}; '
        'choose another --out or remove it'
      )

  def check(self, steps: Sequence[Step]) -> None:
    """Raises InputError where a step was done with another command than that of `steps`."""
    now = {step.name: step.command for step in steps}
    for done in self._values['steps']:
      if done['command'] != now.get(done['name'], done['command']):
        raise InputError(
          f'got another command for the step {done["name"]!r} than {str(self._path)!r} was begun '
          'with (by other arguments or another version); give the same or choose another --out'
        )

  @property
  def total(self) -> float:
    return sum(step['seconds'] for step in self._values['steps'])

  def has(self, step: Step) -> bool:
    return any(done['command'] == step.command for done in self._values['steps'])

  def add(self, step: Step, seconds: float) -> None:
    entry = {'name': step.name, 'seconds': round(seconds, 1), 'command': step.command}
    self._values['steps'].append(entry)
    files.write_json(self._path, self._values)


def _machine() -> str:
  return f'{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}'
