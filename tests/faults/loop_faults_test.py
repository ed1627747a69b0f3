"""Faults 5, 9 and 13: no data come, other devices, records that cannot be read."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from toy_loop import close, fit, toy_stage

from gmtalker_jax.core import sharding
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data.batches import Batches, Tolerant
from gmtalker_jax.io import steps
from gmtalker_jax.train import watchdog


def test_fault_05_a_stuck_loop_says_where_and_ends(tmp_path):
  script = Path(__file__).with_name('toy_process.py')
  env = {**os.environ, 'PYTHONPATH': os.pathsep.join(map(str, script.parents[:3]))}
  done = subprocess.run(
    [sys.executable, str(script), str(tmp_path), '9', '0', '6', '6'],
    env=env,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == watchdog.EXIT_STUCK == 77, done.stderr
  assert 'process 0 is stuck: the batch of step 6 has taken more than 6 s' in done.stderr
  assert 'in __getitem__' in done.stderr  # the stack of the thread that makes batches
  assert 'in _train' in done.stderr  # and of the loop
  assert steps.find(tmp_path / 'checkpoints')[0] == 4


def test_fault_09_a_run_goes_on_with_another_mode_mesh_and_number_of_devices(tmp_path, monkeypatch):
  straight, _ = fit(tmp_path / 'a', steps=10)
  fit(tmp_path / 'b', toy_stage('pmap'), steps=3, mode='pmap')
  monkeypatch.setattr(sharding, 'SMALLEST', 8)
  fit(tmp_path / 'b', steps=5, mesh='1xall')
  fit(tmp_path / 'b', steps=7, devices=jax.devices()[:4], mesh='2x2')
  mixed, _ = fit(tmp_path / 'b', steps=10, devices=jax.devices()[:2])
  close(straight, mixed)


def test_fault_13_an_unreadable_record_is_left_out_and_counted(caplog):
  items = list(range(20))

  def example(item, rng):
    if item in (3, 11):
      raise ValueError('cannot be decoded')
    return np.array([item, rng.integers(100)])

  def batches(make, share):
    tolerant = Tolerant(items, make, share)
    return Batches(tolerant, tolerant.example, 10, seed=0)

  whole = batches(lambda item, rng: np.array([item, rng.integers(100)]), 0.0)
  holes = batches(example, 0.1)
  for i in range(4):
    wanted, got = whole[i], holes[i]
    bad = np.isin(wanted[:, 0], (3, 11))
    np.testing.assert_array_equal(got[~bad], wanted[~bad])  # the others stay where they were
    np.testing.assert_array_equal(got[bad, 0], wanted[bad, 0] + 1)
  assert caplog.text.count('is left out: ValueError: cannot be decoded') == 2
  strict = batches(example, 0.05)
  with pytest.raises(InputError, match=r'2 of 20 training items .*share of 0.05'):
    _ = [strict[i] for i in range(4)]
