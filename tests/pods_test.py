"""The commands of docs/pods.md: what can run here is run, the rest is what `launch` writes."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import toy_records

from gmtalker_jax.cli.main import main

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / 'docs' / 'pods.md').read_text()
BLOCKS = [
  (shlex.split(command), rest)
  for command, rest in re.findall(r'^```\w*\n\$ gmtalker (.+)\n((?s:.*?))```$', PAGE, re.MULTILINE)
]
RUN = [words for words in (shlex.split(c) for c in re.findall(r'^\$ gmtalker (.+)$', PAGE, re.M))
       if words[0] != 'launch' or '--run' in words]  # fmt: skip


def test_the_page_has_something_of_each_place():
  assert {words[1] for words, _ in BLOCKS if words[0] == 'launch'} == {
    'local', 'slurm', 'tpu-vm', 'xpk',
  }  # fmt: skip


@pytest.mark.parametrize('place', ['local', 'slurm', 'tpu-vm', 'xpk'])
def test_the_commands_of_others_are_what_launch_writes(place, capsys, monkeypatch):
  monkeypatch.chdir(ROOT)
  (found,) = [(w, rest) for w, rest in BLOCKS if w[:2] == ['launch', place] and '--run' not in w]
  assert main(found[0]) == 0
  assert capsys.readouterr().out == found[1]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  out = tmp_path_factory.mktemp('pods')
  toy_records.write(out / 'records', train=12, test=8, size=0)
  return out


@pytest.mark.parametrize(
  'words',
  [
    pytest.param(words, marks=[] if '--doctor' in words else pytest.mark.prove, id=' '.join(words))
    for words in RUN
  ],
)
def test_every_command_that_can_run_here_runs(words, folder):
  if words[0] == 'plan':
    if '--count' not in words and importlib.util.find_spec('libtpu') is None:
      pytest.skip("the compiler for TPUs is not installed: pip install '.[plan]'")
    words = [re.sub(r'(configs/\w+\.py)$', r'\1:smoke', word) for word in words]
  env = {k: v for k, v in os.environ.items() if k != 'XLA_FLAGS'} | {'PYTHONPATH': str(ROOT)}
  done = subprocess.run(
    [sys.executable, '-m', 'gmtalker_jax.cli.main', *words],
    cwd=folder, env=env, capture_output=True, text=True,
  )  # fmt: skip
  assert done.returncode == 0, done.stdout + done.stderr
