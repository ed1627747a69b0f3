import json
from pathlib import Path

import pytest

from gmtalker_jax.cli import course, demo_steps
from gmtalker_jax.cli.main import main


@pytest.fixture
def recorded(monkeypatch):
  ran = []

  def run(step, out):
    ran.append(step.name)
    return (1 if step.name == 'bundle' and ran.count('bundle') == 1 else 0), 2.0

  monkeypatch.setattr(course, '_run', run)
  return ran


def test_a_demo_that_failed_goes_on_where_it_stopped(recorded, tmp_path, capsys):
  out = tmp_path / 'demo'
  assert main(['demo', '--out', str(out), '--preset', 'smoke']) == 1
  assert recorded[-1] == 'bundle'
  done = len(recorded) - 1
  assert main(['demo', '--out', str(out), '--preset', 'smoke']) == 0
  assert recorded[done + 1] == 'bundle'
  assert len(set(recorded)) == len(recorded) - 1  # nothing but the failed step ran twice
  times = json.loads((out / 'times.json').read_text())
  assert [s['name'] for s in times['steps']][:2] == ['corpus', 'records with emotions']
  page = (out / 'report.html').read_text()
  assert all(step['command'].split()[1] in page for step in times['steps'])
  assert main(['demo', '--out', str(out), '--preset', 'demo']) == 2


def test_the_plan_names_only_commands_that_exist_and_files_that_were_made(tmp_path):
  from gmtalker_jax.cli.main import COMMANDS

  made = ''
  for step in demo_steps.steps(tmp_path, demo_steps.PRESETS['demo'], builtin=True):
    assert step.arguments[0] in COMMANDS
    for option in ('--audio', '--talker', '--expression'):
      if option in step.arguments:
        value = step.arguments[step.arguments.index(option) + 1]
        assert value == 'builtin' or value in made
    out = (
      Path(step.arguments[step.arguments.index('--out') + 1]) if '--out' in step.arguments else None
    )
    if out and out.suffix:  # commands make no folder for a file: a typed path may be wrong
      assert out.parent == tmp_path
    made += step.command


def test_dry_run_touches_nothing(tmp_path, capsys):
  assert main(['demo', '--out', str(tmp_path / 'd'), '--dry-run']) == 0
  assert 'gmtalker train --config=configs/portrait.py:demo' in capsys.readouterr().out
  assert not (tmp_path / 'd').exists()
