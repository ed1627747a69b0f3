"""The README's commands and Python are run as they stand, in order, in an empty folder."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / 'README.md').read_text()
# (a command's words, or '') and (a block of Python, or ''), in the order of the page
STEPS = re.findall(r'^\$ gmtalker (.+)$|^```python\n((?s:.+?))^```$', README, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.timeout(3600)  # ten minutes on two quiet cores; a busy machine is no failure
def test_every_command_and_every_block_of_python_of_the_readme_runs(tmp_path):
  commands = [command for command, _ in STEPS if command]
  assert len(commands) > 10
  assert len(STEPS) > len(commands)
  for command, code in STEPS:
    if command:
      _run_command(shlex.split(command), tmp_path)
    else:
      _run(['-c', code], tmp_path)
      for name in re.findall(r"\.save\('(.+?)'\)", code):
        assert (tmp_path / name).is_file(), code


def _run_command(words, folder):
  _run(['-m', 'gmtalker_jax.cli.main', *words], folder)
  if '--out' in words:
    assert (folder / words[words.index('--out') + 1]).exists(), words
  if words[0] == 'train':
    workdir = next(w for w in words if w.startswith('--workdir=')).removeprefix('--workdir=')
    assert (folder / workdir / 'final.json').is_file(), words


def _run(arguments, folder):
  env = {k: v for k, v in os.environ.items() if k != 'XLA_FLAGS'}  # a user has one device
  done = subprocess.run(
    [sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True
  )
  assert done.returncode == 0, f'{arguments}\n{done.stdout}\n{done.stderr}'


def test_every_function_that_the_readme_names_on_the_way_to_pixels_exists():
  """The path from a sound to pixels: `module.function` names resolve."""
  import importlib

  section = README.split('### From a sound to pixels')[1].split('\n## ')[0]
  names = re.findall(r'`((?:io|inference|data|face)\.[\w.]+)`', section)
  assert len(names) >= 10
  for name in names:
    module, function = name.rsplit('.', 1)
    assert hasattr(importlib.import_module(f'gmtalker_jax.{module}'), function), name
