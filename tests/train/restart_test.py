"""20 steps are 9 steps, a restart and 11 steps, bit for bit, for the three generators."""

import importlib

import jax
import numpy as np
import pytest
import toy_records

from gmtalker_jax.io import workdir
from gmtalker_jax.train import run


@pytest.fixture(scope='module')
def records(tmp_path_factory):
  out = tmp_path_factory.mktemp('records')
  toy_records.write(out, train=8, test=4, size=64)
  return out


@pytest.fixture(scope='module')
def expression_workdir(records, tmp_path_factory):
  out = tmp_path_factory.mktemp('expression')
  run.train(_config('expression', records, steps=1), out, progress=False)
  return out


@pytest.mark.slow
@pytest.mark.parametrize('stage', ['expression', 'motion', 'portrait'])
def test_a_restart_changes_no_bit_of_a_stage(stage, records, expression_workdir, tmp_path):
  def to(steps, name):
    config = _config(stage, records, steps=steps)
    if stage == 'portrait':
      config.data.expression_workdir = str(expression_workdir)
    return run.train(config, tmp_path / name, progress=False)

  straight = to(20, 'straight')
  to(9, 'restarted')
  restarted = to(20, 'restarted')
  one, other = (workdir.read_inference(tmp_path / n) for n in ('straight', 'restarted'))
  assert (one.step, other.step) == (20, 20)
  assert jax.tree.all(jax.tree.map(np.array_equal, one.params, other.params))
  tests = [name for name in straight if name.startswith('test/')]
  assert tests
  assert [straight[n] for n in tests] == [restarted[n] for n in tests]


def _config(stage, records, steps):
  config = importlib.import_module(f'configs.{stage}').get_config('smoke')
  config.data.records = str(records)
  config.steps = steps
  config.save_every = 9
  return config
