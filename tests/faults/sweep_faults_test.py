"""Fault 24: a point of a sweep fails or is killed, the driver is killed, a second one comes, the
plan is edited. Real drivers, submitit's local executor and real signals; the runs count to six.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny_records

from gmtalker_jax.cli import sweep_plan, table
from gmtalker_jax.io import files

SCRIPT = Path(__file__).with_name('toy_sweep.py')
ROOT = SCRIPT.parents[2]
PLAN = """
QUESTION = 'Which rate?'
BASE = {{'config': 'configs/motion.py:smoke', 'data.records': {records!r}, 'steps': 6}}
GRID = {{'optimizers.generator.rate': {rates}, 'seed': {seeds}}}
READ = ('test/rec',)
"""


@pytest.fixture(scope='module')
def records(tmp_path_factory):
  return tiny_records.write(tmp_path_factory.mktemp('records'), 'logmel', clips=2)


def write(tmp_path, records, rates, seeds):
  plan = tmp_path / 'plan.py'
  text = PLAN.format(records=records, rates=rates, seeds=seeds)
  (tmp_path / 'part').write_text(text)
  (tmp_path / 'part').replace(plan)
  return plan


def start(plan, out, *flags, seconds='0.02'):
  env = {**os.environ, 'PYTHONPATH': str(ROOT), 'TOY_SECONDS': seconds}
  command = [sys.executable, str(SCRIPT), str(plan), '--out', str(out), *flags]
  return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env)


def finish(process):
  _, said = process.communicate(timeout=600)
  return process.returncode, said


def wait_for(condition, process):
  deadline = time.monotonic() + 300
  while not condition():
    assert process.poll() is None, process.stderr.read()
    assert time.monotonic() < deadline
    time.sleep(0.02)


def count(out, name):
  """Lines of the files of this name: who began, who ended."""
  return [len(p.read_text().splitlines()) for p in sorted(out.glob(f'points/*/run/{name}'))]


def markdown(out, capsys):
  capsys.readouterr()
  assert table.main([str(out)]) == 0
  assert capsys.readouterr().out == (out / 'table.md').read_text()
  return (out / 'table.md').read_text()


@pytest.mark.slow
def test_fault_24_a_point_fails_another_is_killed_and_the_others_finish(tmp_path, records, capsys):
  out, plan = tmp_path / 'out', write(tmp_path, records, (0.5, 9.0), (0, 1))
  process = start(plan, out, '--jobs', '4', seconds='0.5')
  bad = {p.id for p in sweep_plan.read(plan).points if p.choices['optimizers.generator.rate'] > '1'}
  good = lambda: [p for p in out.glob('points/*/run/count') if p.parts[-3] not in bad]  # noqa: E731
  wait_for(good, process)
  victim = good()[0].parent
  os.kill(int((victim / 'starts').read_text().split()[0]), signal.SIGKILL)
  code, said = finish(process)
  assert code == 1
  assert said.count('failed (') == 3
  assert said.count('is nan at step 1') == 2
  assert 'killed by SIGKILL (out of memory?)' in said
  assert '1 of 4 points are done' in said
  text = markdown(out, capsys)
  assert '| 9.0 | – | 0/2 |' in text  # nothing stands where nothing was measured
  assert text.count('- missing: ') == 3
  assert 'seed=0: gmtalker: train/generator/loss is nan' in text

  ends = sum(count(out, 'ends'))
  code, said = finish(start(write(tmp_path, records, (0.5,), (0, 1, 2)), out))  # the plan is edited
  assert code == 0, said
  assert '3 of 3 points are done' in said
  assert sum(count(out, 'ends')) == ends + 2  # the killed one and the new one: no other again
  assert int((victim / 'count').read_text()) == 6
  assert 'missing' not in markdown(out, capsys)


@pytest.mark.slow
def test_fault_24_two_drivers_share_and_a_killed_one_is_replaced(tmp_path, records, capsys):
  """Twelve points, stopped twice, then two drivers: the table of an unbroken sweep."""
  plan = write(tmp_path, records, (0.25, 0.5, 0.75), (0, 1, 2, 3))
  out = tmp_path / 'out'
  for done in (2, 5):
    process = start(plan, out, '--jobs', '2', seconds='0.1')
    wait_for(lambda done=done: len(list(out.glob('points/*/result.json'))) >= done, process)
    process.kill()
    process.communicate()
  drivers = [start(plan, out, '--jobs', '2', seconds='0.1') for _ in range(2)]
  for code, said in map(finish, drivers):
    assert code == 0, said
    assert '12 of 12 points are done' in said
  assert count(out, 'ends') == [1] * 12
  assert count(out, 'starts') == [1] * 12  # a killed driver's runs go on; nobody joins them
  unbroken = tmp_path / 'unbroken'
  assert finish(start(plan, unbroken, '--jobs', '4', seconds='0'))[0] == 0
  assert markdown(out, capsys) == markdown(unbroken, capsys)
  assert (out / 'table.csv').read_text() == (unbroken / 'table.csv').read_text()


@pytest.mark.slow
def test_fault_24_points_join_while_the_driver_runs(tmp_path, records):
  out, plan = tmp_path / 'out', write(tmp_path, records, (0.5,), (0, 1))
  process = start(plan, out, seconds='0.3')
  wait_for(lambda: count(out, 'starts'), process)
  plan.write_text('QUESTION = ')  # half saved
  time.sleep(1)
  write(tmp_path, records, (0.5,), (0, 1, 2))
  code, said = finish(process)
  assert code == 0, said
  assert 'the plan stays as it was' in said
  assert 'the plan has changed: 3 points' in said
  assert '3 of 3 points are done' in said
  assert len(files.read_json(out / 'plan.json')['points']) == 3


@pytest.mark.slow
def test_on_slurm_all_points_are_one_array(tmp_path, records, monkeypatch):
  """submitit's own scripts, on a cluster that is a toy: no SLURM is here."""
  for name in ('sbatch', 'srun', 'sacct'):
    program = tmp_path / 'bin' / name
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!{sys.executable}\n{SCRIPT.with_name("toy_slurm.py").read_text()}')
    program.chmod(0o755)
  monkeypatch.setenv('PATH', f'{tmp_path / "bin"}{os.pathsep}{os.environ["PATH"]}')
  monkeypatch.setenv('TOY_LOG', str(tmp_path / 'log'))
  out, plan = tmp_path / 'out', write(tmp_path, records, (0.5,), (0, 1, 2))
  flags = ('--executor', 'slurm', '--jobs', '2', '--slurm', 'partition=gpu', 'gpus_per_node=1')
  code, said = finish(start(plan, out, *flags))
  log = (tmp_path / 'log').read_text()
  assert code == 0, said + log
  assert '3 of 3 points are done' in said
  assert '#SBATCH --array=0-2%2' in log
  assert '#SBATCH --partition=gpu' in log
  assert '#SBATCH --gpus-per-node=1' in log
  devices = [p.read_text() for p in out.glob('points/*/run/devices')]
  assert devices == ['3'] * 3  # SLURM's choice stands
