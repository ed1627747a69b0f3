"""Real processes are stopped, killed and started again; the numbers must not notice."""

import os
import random
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import toy_loop

from gmtalker_jax.io import steps, writers
from gmtalker_jax.train import loop, termination

STEPS = 60
SCRIPT = Path(__file__).with_name('toy_process.py')


def start(directory, seconds=0.02, count=STEPS):
  command = [sys.executable, str(SCRIPT), str(directory), str(count), str(seconds)]
  path = os.pathsep.join(map(str, SCRIPT.parents[:3]))
  return subprocess.Popen(
    command, stderr=subprocess.PIPE, text=True, env={**os.environ, 'PYTHONPATH': path}
  )


def wait_for_step(directory, step, process):
  deadline = time.monotonic() + 120
  while time.monotonic() < deadline:
    rows = directory / writers.METRICS
    if rows.is_file() and len(rows.read_text().splitlines()) >= step:
      return
    assert process.poll() is None, process.stderr.read()
    time.sleep(0.005)
  raise AssertionError('the process makes no steps')


@pytest.fixture(scope='module')
def unbroken(tmp_path_factory):
  return toy_loop.fit(tmp_path_factory.mktemp('unbroken'), steps=STEPS)[0]


def finish(directory, count=STEPS):
  schedule = loop.Schedule(count, save_every=2, eval_every=0, log_every=1)
  return toy_loop.fit(directory, schedule=schedule)[0]


def test_fault_01_killed_in_the_middle_of_saves_it_ends_with_the_same_bits(tmp_path, unbroken):
  moment = random.Random(0)
  directory = tmp_path
  for round_number in range(2):
    process = start(directory)
    wait_for_step(directory, 1 + 20 * (round_number + 1), process)
    time.sleep(moment.random() * 0.05)  # every other step saves, so a save is under way
    process.kill()
    _, said = process.communicate()
    assert process.returncode == -signal.SIGKILL, said
  assert toy_loop.equal(unbroken, finish(directory))
  steps = [r['step'] for r in writers.read_metrics(directory) if 'train/first/loss' in r]
  assert steps == list(range(1, STEPS + 1))  # no report twice, none lost
  assert not list((directory / 'checkpoints').glob('*tmp*'))


def losses(directory):
  with warnings.catch_warnings(action='ignore'):  # a kill may cut a line short
    rows = [r for r in writers.read_metrics(directory) if 'train/first/loss' in r]
  return {r['step']: r['train/first/loss'] for r in rows}


def wait_for_save(directory, step, process):
  """Returns while a later step than `step` is being written."""
  deadline, rows = time.monotonic() + 300, directory / writers.METRICS
  while (
    not rows.is_file()
    or rows.read_text().count('"train/first/loss"') <= step
    or not any((directory / 'checkpoints').glob('*orbax-checkpoint-tmp*'))
  ):
    assert process.poll() is None, process.stderr.read()
    assert time.monotonic() < deadline
    time.sleep(0.001)


@pytest.mark.prove
def test_fault_01_after_twenty_kills_during_saves_every_restart_is_on_the_unbroken_curve(tmp_path):
  moment, broken, cut, step = random.Random(1), tmp_path / 'broken', 0, 0
  curves = []
  for _ in range(20):
    process = start(broken, count=100_000)
    wait_for_save(broken, step, process)
    time.sleep(moment.random() * 0.05)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    cut += any((broken / 'checkpoints').glob('*orbax-checkpoint-tmp*'))
    curves.append(losses(broken))
    step = max(curves[-1])
  ended = finish(broken, step + 4)
  whole = finish(tmp_path / 'whole', step + 4)
  expected = losses(tmp_path / 'whole')
  assert list(expected) == list(range(1, step + 5))
  assert losses(broken) == expected  # to the last bit
  for curve in curves:
    assert curve == {s: v for s, v in expected.items() if s <= max(curve)}
  assert toy_loop.equal(whole, ended)
  sys.stdout.write(
    f'20 kills, {cut} of which cut a save short; {step + 4} steps, all bits as unbroken\n'
  )
  assert cut > 5


def test_fault_02_sigterm_saves_the_step_and_says_so_by_its_exit_code(tmp_path, unbroken):
  directory = tmp_path
  process = start(directory)
  wait_for_step(directory, 7, process)
  process.send_signal(signal.SIGTERM)
  _, said = process.communicate(timeout=60)
  assert process.returncode == termination.EXIT_PREEMPTED, said
  newest = steps.find(directory / 'checkpoints')[0]
  assert newest >= 7
  steps.verify(directory / 'checkpoints' / str(newest))
  assert writers.read_metrics(directory)[-1]['step'] == newest  # nothing done is lost
  assert toy_loop.equal(unbroken, finish(directory))
