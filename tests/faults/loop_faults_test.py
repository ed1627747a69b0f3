"""Faults 5 and 13: a loop that gets no data, and records that cannot be read."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data.batches import Batches, Tolerant
from gmtalker_jax.io import steps
from gmtalker_jax.train import watchdog

TESTS = Path(__file__).parents[1]


def test_fault_05_a_stuck_loop_says_where_and_ends(tmp_path):
  script = str(Path(__file__).with_name('stuck_process.py'))
  env = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(TESTS.parent), str(TESTS)])}
  done = subprocess.run(
    [sys.executable, script, str(tmp_path), '6'],
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
