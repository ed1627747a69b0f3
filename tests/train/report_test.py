"""Metrics are read one step late: the device is never waited for, and that costs nothing."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmtalker_jax.core.means import Mean
from gmtalker_jax.train.faults import Taken
from gmtalker_jax.train.programs import APPLIED
from gmtalker_jax.train.report import Report


@jax.jit
def work(x, times):
  """Something that takes a device a while; the metrics of a step."""
  x = jax.lax.fori_loop(0, times, lambda _, y: jnp.tanh(y @ x), x)
  return x, {'loss': Mean.of(x[0]), APPLIED: Mean.of(jnp.ones(1))}


def report():
  return Report(lambda: None, lambda taken, broken: pytest.fail(f'{taken.step}: {broken}'))


def test_a_step_that_still_runs_is_not_waited_for():
  x = jnp.eye(300) / 2
  jax.block_until_ready(work(x, 1))
  found, steps = report(), []
  for i in range(3):
    x, metrics = work(x, 1_000)
    found.add(Taken(i + 1, i, None), metrics)
    assert not metrics['loss'].total.is_ready(), 'the device was waited for'
    steps.append(metrics)
    assert all(earlier['loss'].total.is_ready() for earlier in steps[:-1])
  means = found.take()
  np.testing.assert_allclose(means['loss'], np.mean([m['loss'].total / 300 for m in steps]))


@pytest.mark.prove
def test_reading_late_costs_nothing_and_reading_at_once_does():
  """Steps of a device beside as long a wait for the next batch: the two overlap, or they do not."""
  x = jnp.eye(500) / 2
  jax.block_until_ready(work(x, 1))
  begun = time.perf_counter()
  jax.block_until_ready(work(x, 40))
  wait = time.perf_counter() - begun

  def seconds(read):
    state, found, begun = x, report(), time.perf_counter()
    for i in range(20):
      time.sleep(wait)
      state, metrics = work(state, 40)
      if read != 'never':
        found.add(Taken(i + 1, i, None), metrics)
      if read == 'at once':
        found.check()
    jax.block_until_ready(state)
    return time.perf_counter() - begun

  rounds = [[seconds(read) for read in ('never', 'late', 'at once')] for _ in range(5)]
  never, late, at_once = np.min(rounds, 0)
  print(f'late {late / never:.3f}, at once {at_once / never:.3f} of never')  # noqa: T201
  assert late < 1.05 * never
  assert at_once > 1.3 * never
