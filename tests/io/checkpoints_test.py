"""Damage to a checkpoint is seen, named, and never silently restarted from."""

import gc
import hashlib
import json
import logging
import shutil
import sys
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gmtalker_jax.core import sharding, trees
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import statistics
from gmtalker_jax.io import checkpoints, digests, steps, workdir
from gmtalker_jax.types import State

TX = optax.adam(1e-3)
ABOUT = workdir.About('toy', {'width': 3}, {'seed': 0}, ('M001',), ('sad',), 'arkit', 'logmel')
MOMENTS = statistics.Moments.of(np.random.default_rng(0).random((9, 3)))
STATISTICS = statistics.Statistics(MOMENTS, MOMENTS, MOMENTS)

# orbax, when it refuses a checkpoint, closes its event loop while reads still report to it. The
# fixture has them collected here, so that only this file forgives them.
pytestmark = pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')


@pytest.fixture(autouse=True)
def collect_late_reads():
  """Collects what a test left behind while the test's own filter still holds."""
  yield
  gc.collect()


def make_state(step, devices=None):
  mesh = sharding.make_mesh(devices)

  def init():
    params = {'generator': {'w': jnp.full((64, 8), step, jnp.float32)}}
    opt_state = {'generator': TX.init(params['generator'])}
    ema = jax.tree.map(lambda x: x + 0.5, params)
    return State(jnp.int32(step), params, opt_state, ema, {'seen': jnp.float32(step)})

  return jax.jit(init, out_shardings=sharding.replicated(mesh))()


def like(devices=None):
  place = sharding.replicated(sharding.make_mesh(devices))
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), make_state(0)
  )


def save(directory, steps=(3, 6, 9), keep=3):
  with checkpoints.Checkpoints(directory / workdir.CHECKPOINTS, keep) as saved:
    for step in steps:
      state = make_state(step)
      documents = {
        'data': {'position': step},
        'about': ABOUT._asdict(),
        'statistics': STATISTICS.to_json(),
      }
      saved.save(step, state, {'generator': state.ema['generator']}, documents)


def restore(directory, target=None):
  with checkpoints.Checkpoints(directory / workdir.CHECKPOINTS) as saved:
    return saved.restore(target or like(), ('data',))


def data_file(step, item):
  """The file with the item's largest array, by what breaks when it is gone."""
  for path in sorted((step / item).rglob('d/*'), key=lambda p: -p.stat().st_size):
    kept = path.read_bytes()
    path.unlink()
    broken = list(digests.problems(step, (item,)))
    path.write_bytes(kept)
    if broken:
      return path
  raise AssertionError(f'nothing in {step}/{item} matters')


def flip(path):
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)


def truncate(path):
  path.write_bytes(path.read_bytes()[:-5])


def remove(path):
  path.unlink()


def test_a_state_comes_back_on_any_number_of_devices(tmp_path):
  save(tmp_path)
  for devices in (None, jax.devices()[:2], jax.devices()[:1]):
    restored = restore(tmp_path, like(devices))
    assert restored.step == 9
    assert restored.documents['data'] == {'position': 9}
    same = jax.tree.map(np.array_equal, restored.state, make_state(9))
    assert jax.tree.all(same)
    assert len(restored.state.params['generator']['w'].sharding.device_set) == len(
      devices or jax.devices()
    )


def test_only_so_many_are_kept(tmp_path):
  save(tmp_path, steps=range(1, 6), keep=2)
  assert steps.find(tmp_path / 'checkpoints') == [5, 4]


@pytest.mark.parametrize('damage', [flip, truncate, remove])
@pytest.mark.parametrize('item', ['state', 'inference'])
def test_a_damaged_step_is_set_aside_for_the_next_older(tmp_path, caplog, item, damage):
  save(tmp_path)
  damage(data_file(tmp_path / 'checkpoints/9', item))
  with caplog.at_level(logging.WARNING):
    restored = restore(tmp_path)
  assert restored.step == 6
  assert float(restored.state.params['generator']['w'][0, 0]) == 6
  assert f'checkpoint 9 is not used: got a damaged {tmp_path}' in caplog.text
  assert f': {item}/' in caplog.text  # and which array
  assert steps.find(tmp_path / 'checkpoints') == [6, 3]
  assert len(list((tmp_path / 'damaged').iterdir())) == 1
  save(tmp_path, steps=[9])  # its number is free again
  assert restore(tmp_path).step == 9


def test_an_empty_step_and_a_left_over_save_are_skipped(tmp_path):
  save(tmp_path, steps=(3,))
  (tmp_path / 'checkpoints/12').mkdir()
  (tmp_path / 'checkpoints/15.orbax-checkpoint-tmp').mkdir()
  assert restore(tmp_path).step == 3


def test_all_damaged_is_an_error_and_nothing_is_moved(tmp_path):
  save(tmp_path)
  for step in (3, 6, 9):
    flip(data_file(tmp_path / f'checkpoints/{step}', 'state'))
  with pytest.raises(InputError, match='no usable checkpoint'):
    restore(tmp_path)
  assert steps.find(tmp_path / 'checkpoints') == [9, 6, 3]


def test_a_new_directory_has_nothing_to_restore(tmp_path):
  assert restore(tmp_path) is None


def test_a_step_that_was_not_saved_to_its_end_is_not_used(tmp_path):
  save(tmp_path, steps=(3, 6))
  shutil.rmtree(tmp_path / 'checkpoints/6' / digests.ITEM)
  assert restore(tmp_path).step == 3


def test_steps_of_version_0_2_are_read_and_their_damage_is_seen(tmp_path):
  """They had no digests but a seal: of each file, written when the step had its name already."""
  save(tmp_path, steps=(3, 6))
  file = data_file(tmp_path / 'checkpoints/6', 'state')
  for step in (tmp_path / 'checkpoints').iterdir():
    shutil.rmtree(step / digests.ITEM)
    files = [p for p in step.rglob('*') if p.is_file()]
    seal = {str(p.relative_to(step)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
    (step / steps.SEAL).write_text(json.dumps(seal))
  assert restore(tmp_path).step == 6
  flip(file)
  assert restore(tmp_path).step == 3


def test_another_shape_is_refused(tmp_path):
  save(tmp_path, steps=(3,))
  wider = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(tuple(n + 1 for n in x.shape), x.dtype, sharding=x.sharding),
    like(),
  )
  with pytest.raises(InputError, match=r'another model .*w is \(64, 8\), not \(65, 9\).*config'):
    restore(tmp_path, wider)


def test_inference_reads_served_weights_and_what_belongs_to_them(tmp_path):
  save(tmp_path)
  read = workdir.read_inference(tmp_path)
  assert read.step == 9
  np.testing.assert_array_equal(read.params['generator']['w'], np.full((64, 8), 9.5))
  assert isinstance(read.params['generator']['w'], np.ndarray)
  assert read.about == ABOUT
  np.testing.assert_array_equal(read.statistics.motion.mean, MOMENTS.mean)
  assert workdir.read_inference(tmp_path, step=3).params['generator']['w'][0, 0] == 3.5


def test_inference_falls_back_too_and_ignores_damage_that_is_not_its_own(tmp_path):
  save(tmp_path)
  flip(data_file(tmp_path / 'checkpoints/9', 'state'))
  assert workdir.read_inference(tmp_path).step == 9
  flip(data_file(tmp_path / 'checkpoints/9', 'inference'))
  assert workdir.read_inference(tmp_path).step == 6
  with pytest.raises(InputError, match='only damaged checkpoints'):
    workdir.read_inference(tmp_path, step=9)
  with pytest.raises(InputError, match=r'got step 4 .* expected one of \[9, 6, 3\]'):
    workdir.read_inference(tmp_path, step=4)
  shutil.rmtree(tmp_path / 'checkpoints')
  with pytest.raises(InputError, match='without a checkpoint'):
    workdir.read_inference(tmp_path)


def test_a_bit_flipped_in_any_file_is_seen_or_changes_nothing(tmp_path):
  save(tmp_path, steps=(3,))
  step, seen = tmp_path / 'checkpoints/3', 0
  for path in [p for p in sorted(step.rglob('*')) if p.is_file() and p.stat().st_size]:
    kept = path.read_bytes()
    flip(path)
    try:
      restored = restore(tmp_path)
    except InputError:
      seen += 1
    else:
      assert jax.tree.all(jax.tree.map(np.array_equal, restored.state, make_state(3)))
    path.write_bytes(kept)
  assert seen > 5


def test_every_array_and_every_document_has_a_digest(tmp_path):
  save(tmp_path, steps=(3,))
  found = digests.read(tmp_path / 'checkpoints/3')
  assert found.keys() == {'state', 'inference', 'documents'}
  assert found['state'].keys() == trees.leaves(make_state(3)).keys()
  assert found['documents'].keys() == {'data', 'about', 'statistics'}


def test_what_is_not_finite_never_becomes_a_checkpoint(tmp_path):
  save(tmp_path, steps=(3,))
  with checkpoints.Checkpoints(tmp_path / 'checkpoints') as saved:
    broken = make_state(6).replace(stats={'seen': jnp.float32(np.nan)})
    saved.save(6, broken, broken.ema, {})
    with pytest.raises(checkpoints.SaveFailed, match=r'step 6 .*stats.seen that is not finite'):
      saved.wait()
  assert sorted(p.name for p in (tmp_path / 'checkpoints').iterdir()) == ['3']


def test_the_arrays_of_a_save_are_those_of_its_moment(tmp_path):
  """The step after it reuses the buffers while the save still reads them."""
  state = make_state(3)
  next_step = jax.jit(lambda s: jax.tree.map(lambda x: x + 1, s), donate_argnums=0)
  with checkpoints.Checkpoints(tmp_path / 'checkpoints', keep=9) as saved:
    for step in range(3, 8):
      saved.save(step, state, {'generator': state.ema['generator']}, {'data': {}})
      state = next_step(state)
  for step in range(3, 8):
    steps.verify(tmp_path / 'checkpoints' / str(step))


def test_milestones_are_kept_for_ever(tmp_path):
  with checkpoints.Checkpoints(tmp_path / 'checkpoints', keep=2, keep_every=4) as saved:
    for step in range(1, 12):
      saved.save(step, make_state(step), make_state(step).ema, {'data': {}})
  assert steps.find(tmp_path / 'checkpoints') == [11, 10, 8, 4]


def test_a_flipped_bit_anywhere_and_two_words_that_changed_places_are_seen():
  values = np.random.default_rng(0).normal(size=5_000).astype(np.float32)
  whole = digests._digest(values)
  for at in (0, 1, 4_095, 4_096, 12_345, 19_999):
    for bit in (0, 7):
      changed = values.copy()
      changed.view(np.uint8)[at] ^= 1 << bit
      assert digests._digest(changed) != whole
  for a, b in ((0, 2), (0, 1_024), (7, 3_000), (4_990, 4_999)):
    changed = values.copy()
    changed[[a, b]] = changed[[b, a]]
    assert digests._digest(changed) != whole
  assert len({digests._digest(np.zeros(n, np.float32)) for n in (0, 1, 1_024, 1_025, 2_048)}) == 5


@pytest.mark.parametrize('dtype', ['float32', 'float64', 'bfloat16', 'int32'])
def test_what_is_not_finite_is_found_and_what_is_large_is_fine(dtype):
  values = np.full((3, 1_000), 1e30 if dtype != 'int32' else 7).astype(jnp.dtype(dtype))
  digests._of_array('a', values)
  if dtype != 'int32':
    for wrong in (np.nan, np.inf, -np.inf):
      broken = values.copy()
      broken[2, 999] = wrong
      with pytest.raises(InputError, match='got a that is not finite'):
        digests._of_array('a', broken)


def test_a_step_of_before_the_sums_is_still_verified():
  values = np.arange(9, dtype=np.float32)
  before = hashlib.sha256(values.tobytes()).hexdigest()
  entry = {'shape': [9], 'dtype': 'float32', 'shards': [[[[0, 9]], before]]}
  assert digests._same(values, entry)
  assert not digests._same(values + 1, entry)


@pytest.mark.parametrize('megabytes', [1, pytest.param(200, marks=pytest.mark.prove)])
def test_digests_are_no_work_of_the_loop_and_little_of_a_save(tmp_path, monkeypatch, megabytes):
  """Processor time, which other programs do not disturb: of the digests, and of the whole save."""
  spent, threads, of_array = [], set(), digests._of_array

  def timed(*args):
    begun = time.thread_time()
    threads.add(threading.current_thread())
    found = of_array(*args)
    spent.append(time.thread_time() - begun)
    return found

  monkeypatch.setattr(digests, '_of_array', timed)
  rng = np.random.default_rng(0)
  state = {
    f'a{i}': jnp.asarray(rng.normal(size=25_000 * megabytes), jnp.float32) for i in range(10)
  }
  shares = []
  with checkpoints.Checkpoints(tmp_path / 'c', 1) as saved:
    for step in (1, 2, 3):
      spent.clear()
      begun = time.process_time()
      saved.save(step, state, {'a0': state['a0']}, {})
      saved.wait()
      shares.append(sum(spent) / (time.process_time() - begun))
  assert len(spent) == 11
  assert threading.main_thread() not in threads
  if megabytes > 1:  # a small one is all housekeeping
    sys.stdout.write(f'digests: {" ".join(f"{s:.1%}" for s in shares)} of the work of a save\n')
    assert sorted(shares)[1] < 0.05
