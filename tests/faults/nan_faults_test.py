"""Fault 11: a step that gives NaN is not applied, its batch is kept, then back, then stop."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy_records
from train import loop_test

from gmtalker_jax.cli.main import main
from gmtalker_jax.core import sharding
from gmtalker_jax.data.batches import Batches, InOrder
from gmtalker_jax.io import checkpoints, steps, writers
from gmtalker_jax.train import faults, loop


class Poisoned(Batches):
  """Batches at these positions hold NaN."""

  def __init__(self, positions):
    super().__init__(loop_test.ITEMS, loop_test.example, 16, seed=0)
    self.positions = positions

  def __getitem__(self, index):
    batch = super().__getitem__(index)
    return batch.replace(motion=batch.motion * np.nan) if index in self.positions else batch


def fit(directory, positions, skips=5, rollbacks=2, steps=12, mode='jit', save_every=3):
  stage = loop_test.toy_stage(mode)
  with checkpoints.Checkpoints(directory / 'checkpoints', keep=99) as saved:
    results = loop.fit(
      loop.Run(
        stage,
        Poisoned(positions),
        InOrder(loop_test.ITEMS, loop_test.example, 16),
        loop.Schedule(steps, save_every, eval_every=0, log_every=steps),
        saved,
        lambda step: writers.Writer(directory, step),
        mesh=sharding.make_mesh(),
        mode=mode,
        faults=dataclasses.replace(loop.STRICT, skips=skips, rollbacks=rollbacks),
        progress=False,
      )
    )
  return loop_test.final_state(directory, stage), results


def weights(directory, step):
  return steps.read_arrays(directory / 'checkpoints' / str(step), 'state')


@pytest.mark.parametrize('mode', ['jit', 'pmap'])
def test_fault_11_a_broken_step_is_not_applied_and_its_batch_is_kept(tmp_path, mode):
  state, results = fit(tmp_path, {4}, mode=mode, save_every=1)
  four, six = weights(tmp_path, 4), weights(tmp_path, 6)
  assert not (tmp_path / 'checkpoints' / '5').exists()  # not in the middle of a fault
  assert state.step == 12
  assert np.isfinite(results['train/first/loss'])
  assert results['train/applied'] == pytest.approx(11 / 12)

  kept = json.loads((tmp_path / 'faults' / '5.json').read_text())
  assert (kept['step'], kept['position']) == (5, 4)
  assert kept['not_finite']['first/loss'] == 'nan'
  assert len(kept['examples']) == 16
  assert set(kept['examples']) <= set(loop_test.ITEMS)
  arrays = np.load(tmp_path / 'faults' / '5.npz')
  assert np.isnan(arrays['batch.motion']).all()
  assert np.isfinite(arrays['state.params.first.w']).all()

  # Step 6 does from step 4 what it would have done after it.
  step, batch = loop_test.toy_stage().step, Poisoned(())[5]
  like = loop_test.final_state(tmp_path, loop_test.toy_stage())
  begun = jax.tree.unflatten(jax.tree.structure(like), _leaves(four, like))
  after, _ = step(begun, batch, jax.random.key(0))
  np.testing.assert_allclose(after.params['first']['w'], six['params']['first']['w'], rtol=2e-5)


def _leaves(read, like):
  by_name = {
    jax.tree_util.keystr(p, simple=True, separator='.'): jnp.asarray(x)
    for p, x in jax.tree_util.tree_leaves_with_path(read)
  }
  return [
    by_name[jax.tree_util.keystr(p, simple=True, separator='.')]
    for p, _ in jax.tree_util.tree_leaves_with_path(like)
  ]


def test_fault_11_after_too_many_it_goes_back_and_leaves_those_data_out(tmp_path):
  state, results = fit(tmp_path / 'a', {7, 8, 9}, skips=1)
  assert (state.step, results['train/applied']) == (12, pytest.approx(5 / 6))  # since step 6
  data = steps.read_document(tmp_path / 'a/checkpoints/12', 'data')
  assert data['position'] == 15  # step 7 took batch 9, and skipped that too
  fit(tmp_path / 'b', {7, 8, 9}, skips=1, steps=9)
  again, _ = fit(tmp_path / 'b', {7, 8, 9}, skips=1)
  assert loop_test.equal(state, again)


def test_fault_11_after_too_often_it_stops_and_no_checkpoint_has_nan(tmp_path):
  with pytest.raises(faults.Diverged, match=r"nan for first/.* of phase 'first' at step 8,"):
    fit(tmp_path, set(range(7, 99)), skips=1, rollbacks=2)
  assert steps.find(tmp_path / 'checkpoints') == [6, 3]
  for step in (3, 6):
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(weights(tmp_path, step)))
  assert sorted(p.stem for p in (tmp_path / 'faults').glob('*.json')) == ['7', '8', '9']


def test_fault_11_a_rate_that_blows_up_serves_nothing(tmp_path, capsys):
  toy_records.write(tmp_path / 'records', train=8, test=4)
  command = [
    'train', '--config=configs/motion.py:smoke', f'--workdir={tmp_path}/w',
    f'--config.data.records={tmp_path}/records', '--config.optimizers.generator.rate=1e38',
    '--config.model.decoder_mode=parallel', '--config.loss.scheduled_sampling=0.0',
    '--config.faults.skips=1', '--config.faults.rollbacks=0', '--config.steps=9',
  ]  # fmt: skip
  assert main(command) == 1
  said = capsys.readouterr().err
  assert 'gmtalker: got' in said.splitlines()[-1]
  assert 'Traceback' not in said
  assert not steps.find(tmp_path / 'w' / 'checkpoints')
