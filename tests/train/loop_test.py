"""The loop with a stage small enough to compile in a second."""

import json
import math

import jax
import numpy as np
import optax
import pytest
from toy_loop import ITEMS, close, equal, example, final_state, fit, toy_stage

from gmtalker_jax.core import sharding
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data.batches import Batches
from gmtalker_jax.io import writers
from gmtalker_jax.train import faults, programs


def test_twenty_steps_are_nine_a_restart_and_eleven(tmp_path):
  whole, results = fit(tmp_path / 'a')
  fit(tmp_path / 'b', steps=9)
  again, resumed = fit(tmp_path / 'b')
  assert int(whole.step) == 20
  assert equal(whole, again)
  assert results['test/error'] == resumed['test/error']
  rows = [r for r in writers.read_metrics(tmp_path / 'b') if 'train/first/loss' in r]
  steps = [r['step'] for r in rows]
  assert steps == sorted(set(steps))
  assert steps[-1] == 20


def test_a_step_is_compiled_once(tmp_path, monkeypatch):
  made, real = [], programs.train_step

  def kept(*args):
    made.append(real(*args))
    return made[-1]

  monkeypatch.setattr(programs, 'train_step', kept)
  for steps in (5, 9):  # with saves, an evaluation, and a restart
    fit(tmp_path, steps=steps)
  assert [step._cache_size() for step in made] == [1, 1]


@pytest.mark.parametrize('count', [1, 8])
def test_a_step_takes_the_memory_of_the_state_before(count):
  stage, batch = toy_stage(), Batches(ITEMS, example, 16, seed=0)[0]
  mesh = sharding.make_mesh(devices=jax.devices()[:count])
  like = programs.abstract_state(stage, batch, 0, mesh)
  before = programs.first_state(stage, batch, 0, like)
  step = programs.train_step(stage, 0, mesh, 'jit', like)
  jax.block_until_ready(step(before, sharding.place_batch(batch, mesh)))
  assert all(x.is_deleted() for x in jax.tree.leaves(before))


def test_it_learns(tmp_path):
  _, results = fit(tmp_path, toy_stage(rate=0.05), steps=150)
  first = writers.read_metrics(tmp_path)[0]
  assert results['train/first/loss'] < 0.2 * first['train/first/loss']
  assert results['test/error'] < 0.5 * first['train/first/loss']


def test_one_device_is_eight_devices(tmp_path):
  eight, _ = fit(tmp_path / 'a', steps=10)
  one, _ = fit(tmp_path / 'b', steps=10, devices=jax.devices()[:1])
  close(eight, one)


# Adam hides a constant factor in the gradient, so the modes are compared with SGD too.
@pytest.mark.parametrize('kind', ['adam', 'sgd'])
def test_pmap_gives_the_numbers_of_jit(tmp_path, kind):
  def stage(mode):
    if kind == 'adam':
      return toy_stage(mode)
    axis = sharding.AXIS if mode == 'pmap' else None
    return toy_stage(mode, optimizer=optax.chain(sharding.average_gradients(axis), optax.sgd(0.05)))

  by_jit, results = fit(tmp_path / 'a', stage('jit'), steps=10)
  by_pmap, mapped = fit(tmp_path / 'b', stage('pmap'), steps=10, mode='pmap')
  close(by_jit, by_pmap)
  assert results['train/first/error'] == pytest.approx(mapped['train/first/error'], rel=1e-5)


@pytest.mark.parametrize('mesh', ['1xall', '4x2'])
def test_a_shared_state_keeps_the_numbers(tmp_path, monkeypatch, mesh):
  stage = toy_stage(noise=1.0)
  copied, _ = fit(tmp_path / 'a', stage, steps=6)
  monkeypatch.setattr(sharding, 'SMALLEST', 8)
  cut, _ = fit(tmp_path / 'b', stage, steps=6, mesh=mesh)
  close(copied, cut)


@pytest.mark.parametrize('mode', ['jit', 'pmap'])
def test_parts_of_a_batch_and_devices_draw_the_noise_of_the_whole(tmp_path, mode):
  """The mapped mode and accumulation, one in the other: also with noise nothing changes."""
  whole, results = fit(tmp_path / 'a', toy_stage(noise=1.0), steps=6)
  stage = toy_stage(mode, noise=1.0, accumulate=4)
  parts, added = fit(tmp_path / 'b', stage, steps=6, mode=mode, devices=jax.devices()[:4])
  close(whole, parts)
  assert results['train/first/error'] == pytest.approx(added['train/first/error'], rel=1e-5)
  quiet, _ = fit(tmp_path / 'c', toy_stage(), steps=6)
  assert not equal(whole.params, quiet.params)


def test_only_jit_shares_a_state(tmp_path):
  with pytest.raises(InputError, match="only 'jit' shares"):
    fit(tmp_path, toy_stage('pmap'), mode='pmap', mesh='4x2')


@pytest.mark.parametrize('step', [0, 4, 5, 7])
def test_nan_stops_with_step_and_phase_and_is_not_saved(tmp_path, step):
  stage = toy_stage(explode_at=step)
  with pytest.raises(faults.Diverged, match=rf"phase 'first' at step {step + 1},"):
    fit(tmp_path, stage)
  saved = sorted(int(p.name) for p in (tmp_path / 'checkpoints').iterdir())
  assert all(s <= step for s in saved)
  if saved:
    assert np.isfinite(final_state(tmp_path, stage).params['first']['w']).all()


def test_other_data_are_refused(tmp_path):
  fit(tmp_path, steps=3, fingerprint='one')
  with pytest.raises(InputError, match='fingerprint two, expected one'):
    fit(tmp_path, steps=6, fingerprint='two')


def test_a_finished_run_is_only_evaluated(tmp_path):
  before, results = fit(tmp_path, steps=6)
  after, again = fit(tmp_path, steps=6)
  assert equal(before, after)
  assert results['test/error'] == again['test/error']


def test_evaluation_counts_each_item_once(tmp_path):
  _, results = fit(tmp_path, steps=2)
  state = final_state(tmp_path, toy_stage())
  errors = []
  for item in ITEMS:
    x = example(item, np.random.default_rng(item))
    y = x.speech.mean(0) @ state.ema['first']['w'] + state.ema['second']['b']
    errors.append(((y - x.motion.mean(0)) ** 2).mean())
  assert math.isclose(results['test/error'], np.mean(errors), rel_tol=1e-5)


def test_metrics_are_json_lines(tmp_path):
  fit(tmp_path, steps=4)
  rows = [json.loads(line) for line in (tmp_path / writers.METRICS).read_text().splitlines()]
  assert [r['step'] for r in rows] == [2, 4, 4, 4]
  assert 0 < rows[-1]['checkpoint/blocked_seconds'] < rows[-1]['checkpoint/seconds']
  assert rows[0]['train/first/loss'] > 0
  assert list((tmp_path / 'tensorboard').iterdir())
