"""Programs that outlive a process: the same numbers, traced once, never one of other source."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmtalker_jax.io import traces


@pytest.fixture
def cache(tmp_path):
  before = jax.config.jax_compilation_cache_dir
  jax.config.update('jax_compilation_cache_dir', str(tmp_path))
  yield tmp_path / 'traces'
  jax.config.update('jax_compilation_cache_dir', before)


class Process:
  """What a fresh process makes of the same source: nothing of another is in its memory."""

  def __init__(self, name='toy'):
    self.traced = 0

    def function(params, key, strength):
      self.traced += 1
      noise = jax.random.normal(key, params['w'].shape)
      return params['w'] * strength + noise, params['w'].sum()

    self.plain, self.call = function, traces.kept(function, name)


ARGUMENTS = {'w': jnp.arange(6.0).reshape(2, 3)}, jax.random.key(3), 0.5


def test_a_second_process_traces_nothing_and_gets_the_same_bits(cache):
  first, second = Process(), Process()
  made, found = first.call(*ARGUMENTS), second.call(*ARGUMENTS)
  assert (first.traced, second.traced) == (1, 0)
  expected = jax.jit(Process().plain)(*ARGUMENTS)
  for one in (made, found):
    jax.tree.map(np.testing.assert_array_equal, one, expected)


def test_other_shapes_names_and_source_are_other_programs(cache, monkeypatch):
  Process().call(*ARGUMENTS)
  wide = Process()
  assert wide.call({'w': jnp.ones((2, 5))}, *ARGUMENTS[1:])[0].shape == (2, 5)
  other = Process('other toy')
  other.call(*ARGUMENTS)
  monkeypatch.setattr(traces, '_source', lambda: 'one line was changed')
  changed = Process()
  changed.call(*ARGUMENTS)
  assert [p.traced for p in (wide, other, changed)] == [1, 1, 1]
  assert len(list(cache.iterdir())) == 4


@pytest.mark.parametrize('damage', [lambda b: b[:100], lambda b: b[:-1] + b'?', lambda b: b''])
def test_a_damaged_program_is_made_again(cache, damage):
  expected = Process().call(*ARGUMENTS)
  (path,) = cache.iterdir()
  path.write_bytes(damage(path.read_bytes()))
  mended, after = Process(), Process()
  jax.tree.map(np.testing.assert_array_equal, mended.call(*ARGUMENTS), expected)
  jax.tree.map(np.testing.assert_array_equal, after.call(*ARGUMENTS), expected)
  assert (mended.traced, after.traced) == (1, 0)


def test_where_nothing_can_be_written_it_still_runs(cache):
  cache.write_text('a file where the folder should be')
  assert Process().call(*ARGUMENTS)[0].shape == (2, 3)


def test_without_a_cache_nothing_is_kept(cache):
  jax.config.update('jax_compilation_cache_dir', None)
  process = Process()
  process.call(*ARGUMENTS), process.call(*ARGUMENTS)
  assert process.traced == 1
  assert not cache.exists()


def test_two_threads_trace_once(cache):
  process = Process()
  threads = [threading.Thread(target=process.call, args=ARGUMENTS) for _ in range(4)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert process.traced == 1
