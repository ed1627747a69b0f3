"""The README's commands are run as they stand, in order, in an empty folder."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / 'README.md').read_text()
COMMANDS = re.findall(r'^\$ gmtalker (.+)$', README, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_command_of_the_readme_runs(tmp_path):
  assert len(COMMANDS) > 10
  env = {k: v for k, v in os.environ.items() if k != 'XLA_FLAGS'}  # a user has one device
  for command in COMMANDS:
    words = shlex.split(command)
    done = subprocess.run(
      [sys.executable, '-m', 'gmtalker_jax.cli.main', *words],
      cwd=tmp_path, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f'gmtalker {command}\n{done.stdout}\n{done.stderr}'
    if '--out' in words:
      assert (tmp_path / words[words.index('--out') + 1]).exists(), command
    if words[0] == 'train':
      workdir = next(w for w in words if w.startswith('--workdir=')).removeprefix('--workdir=')
      assert (tmp_path / workdir / 'final.json').is_file(), command


def test_every_function_that_the_readme_names_on_the_way_to_pixels_exists():
  """The path from a sound to pixels: `module.function` names resolve."""
  import importlib

  section = README.split('### From a sound to pixels')[1].split('\n## ')[0]
  names = re.findall(r'`((?:io|inference|data|face)\.[\w.]+)`', section)
  assert len(names) >= 10
  for name in names:
    module, function = name.rsplit('.', 1)
    assert hasattr(importlib.import_module(f'gmtalker_jax.{module}'), function), name
