"""Every command of docs/recovery.md is run as it stands, in order."""

import re
import shlex
from pathlib import Path

import pytest
import toy_records

from gmtalker_jax.cli.main import main
from gmtalker_jax.io import steps

PAGE = Path(__file__).parents[1] / 'docs' / 'recovery.md'


@pytest.mark.slow
def test_every_command_of_the_recovery_page_runs(tmp_path, monkeypatch):
  toy_records.write(tmp_path / 'records', train=8, test=4)
  monkeypatch.chdir(tmp_path)
  commands = re.findall(r'^\$ gmtalker (.+)$', PAGE.read_text(), re.MULTILINE)
  assert len(commands) >= 7
  for command in commands:
    assert main(shlex.split(command)) == 0, command
  assert steps.find(tmp_path / 'run' / 'checkpoints') == [4]
  assert list((tmp_path / 'strict' / 'profile').rglob('*.xplane.pb'))
