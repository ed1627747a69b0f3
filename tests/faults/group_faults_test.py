"""Two real processes of four devices: the numbers of one; one is stopped, is killed, is stuck."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import toy_loop
import toy_records

from gmtalker_jax.io import steps, writers
from gmtalker_jax.train import processes, termination, watchdog

SCRIPT = Path(__file__).with_name('toy_group.py')


@pytest.fixture
def start():
  """Two processes of a directory and a number of steps; none outlives its test."""
  started = []

  def start(directory, count, *more, patience=60):
    started.extend(both := processes_of(directory, count, *more, patience=patience))
    return both

  yield start
  for process in started:
    process.kill()
    process.communicate()


def processes_of(directory, count, *more, patience=60):
  """The first is the coordinator; `more` are words for each of them.

  `patience`, seconds: where nobody is lost, a loaded machine must not make it seem so.
  """
  with socket.socket() as probe:
    probe.bind(('127.0.0.1', 0))
    at = f'127.0.0.1:{probe.getsockname()[1]}'
  env = {
    **os.environ,
    'XLA_FLAGS': '--xla_force_host_platform_device_count=4',
    'PYTHONPATH': os.pathsep.join(map(str, SCRIPT.parents[:3])),
  }
  more = more or ((), ())
  return [
    subprocess.Popen(
      [sys.executable, str(SCRIPT), str(directory), str(count), at, str(i), '2', str(patience),
       *more[i]],
      env=env, stderr=subprocess.PIPE, text=True,
    )
    for i in range(2)
  ]  # fmt: skip


def wait_for_step(directory, step, both):
  deadline = time.monotonic() + 300
  while len(losses(directory)) < step:
    assert time.monotonic() < deadline
    assert all(p.poll() is None for p in both)
    time.sleep(0.05)


def losses(directory):
  rows = writers.read_metrics(directory) if (directory / writers.METRICS).is_file() else []
  return [r['train/first/loss'] for r in rows if 'train/first/loss' in r]


def test_two_processes_learn_what_one_does(tmp_path, start):
  schedule = toy_loop.loop.Schedule(20, save_every=2, eval_every=0, log_every=1)
  toy_loop.fit(tmp_path / 'one', schedule=schedule)
  for process in start(tmp_path / 'two', 20):
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
  assert len(losses(tmp_path / 'two')) == 20
  np.testing.assert_allclose(losses(tmp_path / 'two'), losses(tmp_path / 'one'), rtol=1e-5)


def test_fault_03_sigterm_to_one_of_two_saves_the_same_step_of_both(tmp_path, start):
  both = start(tmp_path, 2_000)
  wait_for_step(tmp_path, 3, both)
  both[1].send_signal(signal.SIGTERM)
  for process in both:
    _, said = process.communicate(timeout=120)
    assert process.returncode == termination.EXIT_PREEMPTED, said
  saved = steps.find(tmp_path / 'checkpoints')[0]
  assert not list(steps.problems(tmp_path / 'checkpoints' / str(saved)))
  for process in start(tmp_path, saved + 2):  # on two
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
  toy_loop.fit(tmp_path, steps=saved + 4)  # and on one
  rows = [r['step'] for r in writers.read_metrics(tmp_path) if 'train/first/loss' in r]
  assert rows[: saved + 2] == list(range(1, saved + 3))


@pytest.mark.parametrize('lost', [1])
def test_fault_04_who_waits_for_a_killed_process_names_it_and_ends(tmp_path, start, lost):
  both = start(tmp_path, 2_000, patience=6)
  wait_for_step(tmp_path, 3, both)
  both[lost].kill()
  begun = time.monotonic()
  _, said = both[1 - lost].communicate(timeout=120)
  assert both[1 - lost].returncode == processes.EXIT_LOST, said
  assert f'process {lost} ' in said
  assert time.monotonic() - begun < 60


def test_fault_05_who_is_stuck_says_so_and_the_other_names_it(tmp_path, start):
  waits, stuck = start(tmp_path, 2_000, ('0', '60'), ('6', '6'), patience=6)
  _, said = stuck.communicate(timeout=120)
  assert stuck.returncode == watchdog.EXIT_STUCK, said
  assert 'process 1 is stuck: the batch of step 6 has taken more than 6 s' in said
  assert 'in __getitem__' in said  # the stack of the thread that makes batches
  _, said = waits.communicate(timeout=60)
  assert waits.returncode == processes.EXIT_LOST, said
  assert 'process 1 ' in said
  assert not list(steps.problems(tmp_path / 'checkpoints' / '4'))


def test_who_never_starts_is_named(tmp_path):
  """By the command itself, whose configs say nothing of processes; JAX would only abort."""
  toy_records.write(tmp_path / 'records', train=8, test=4, size=0)
  done = subprocess.run(
    [
      sys.executable, '-m', 'gmtalker_jax.cli.main', 'train', '--config=configs/motion.py:smoke',
      f'--workdir={tmp_path}/run', f'--config.data.records={tmp_path}/records',
      '--coordinator=127.0.0.1:5999', '--process-id=0', '--processes=2', '--start-timeout=2',
    ],
    env={**os.environ, 'PYTHONPATH': str(SCRIPT.parents[2])}, capture_output=True, text=True,
  )  # fmt: skip
  assert done.returncode == processes.EXIT_LOST, done.stderr
  assert 'process 1 gave no sign for 2 s' in done.stderr
