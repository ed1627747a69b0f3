"""Four processes of this machine train as one; one is killed, then all are stopped, and it goes on.

python -m pytest -s -m prove tests/cli/launch_local_test.py
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import toy_records

from gmtalker_jax.io import files, writers

ROOT = Path(__file__).parents[2]
STEPS = 16
FILE = """
config = "configs/expression.py:smoke"
workdir = "run"
flags = ["--config.data.records=records", "--config.steps=16", "--peer-timeout=120"]
[local]
processes = 4
devices = 1
"""
ENV = {**os.environ, 'PYTHONPATH': str(ROOT), 'XLA_FLAGS': '--xla_backend_optimization_level=0'}
GMTALKER = [sys.executable, '-m', 'gmtalker_jax.cli.main']


@pytest.mark.prove
def test_four_processes_killed_and_stopped_learn_what_one_does(tmp_path):
  toy_records.write(tmp_path / 'records', train=12, test=8, size=0)
  (tmp_path / 'mine.toml').write_text(FILE)
  first = launch(tmp_path)
  wait_for_step(tmp_path, 3, first)
  os.kill(process_of(tmp_path, 2), signal.SIGKILL)
  wait_for_step(tmp_path, 7, first)
  first.send_signal(signal.SIGTERM)
  assert first.wait(300) == 75
  stopped = steps_of(tmp_path / 'run')[-1]
  assert stopped < STEPS
  second = launch(tmp_path)
  assert second.wait(600) == 0
  said = (tmp_path / 'said').read_text()
  sys.stdout.write(said)
  assert 'launch: process 2 was killed by SIGKILL; all start again from step' in said
  assert steps_of(tmp_path / 'run') == list(range(1, STEPS + 1))
  assert files.read_json(tmp_path / 'run' / 'final.json')['step'] == STEPS
  flags = ['--config=configs/expression.py:smoke', '--workdir=one', '--config.data.records=records']
  subprocess.run(
    [*GMTALKER, 'train', *flags, f'--config.steps={STEPS}'], cwd=tmp_path, env=ENV, check=True
  )
  np.testing.assert_allclose(losses(tmp_path / 'run'), losses(tmp_path / 'one'), rtol=1e-4)


def launch(folder):
  with (folder / 'said').open('a') as said:
    return subprocess.Popen(
      [*GMTALKER, 'launch', 'local', 'mine.toml', '--run'], cwd=folder, env=ENV, stderr=said
    )


def wait_for_step(folder, step, process):
  deadline = time.monotonic() + 900
  while max(steps_of(folder / 'run'), default=0) < step:
    assert time.monotonic() < deadline
    assert process.poll() is None, (folder / 'said').read_text()
    time.sleep(0.1)


def process_of(folder, index):
  """The process that now is the one of `index`, by its own sign."""
  return int((folder / 'run' / 'processes' / str(index)).read_text().split()[1])


def steps_of(run):
  return [r['step'] for r in _rows(run) if 'train/generator/loss' in r]


def losses(run):
  return [r['train/generator/loss'] for r in _rows(run) if 'train/generator/loss' in r]


def _rows(run):
  return writers.read_metrics(run) if (run / writers.METRICS).is_file() else []
