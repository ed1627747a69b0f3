"""The only training loop. It knows no network, no objective and no kind of data.

Step i takes batch i and keys that are functions of (seed, i), so a run that was stopped and
resumed is, bit for bit, the run that was not.
"""

import contextlib
import dataclasses
import math
import signal
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from gmtalker_jax.core import means, rng, sharding
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data.batches import Batches, Items
from gmtalker_jax.io.checkpoints import Checkpoints
from gmtalker_jax.io.writers import Writer
from gmtalker_jax.stages.base import Stage
from gmtalker_jax.train.cadence import due
from gmtalker_jax.train.progress import Progress
from gmtalker_jax.types import State

MODES = ('jit', 'pmap')
EXIT_PREEMPTED = 75  # EX_TEMPFAIL: stopped from outside, state saved, run it again


class Preempted(SystemExit):
  """SIGTERM or SIGINT came: the state is saved; an uncaught one ends with EXIT_PREEMPTED."""

  def __init__(self, step: int):
    super().__init__(EXIT_PREEMPTED)
    self.step = step

  def __str__(self) -> str:
    return f'stopped at step {self.step}, which is saved; run the same command again to go on'


class Diverged(RuntimeError):
  """A metric is no longer finite."""


class Schedule(NamedTuple):
  """How long and how often, in steps; 0 = only at the end."""

  steps: int
  save_every: int
  eval_every: int
  log_every: int


def fit(
  stage: Stage,
  batches: Batches,
  evaluation: Items,
  schedule: Schedule,
  checkpoints: Checkpoints,
  open_writer: Callable[[int], Writer],
  *,
  mesh: Mesh,
  seed: int = 0,
  mode: str = 'jit',
  fsdp: bool = False,
  fingerprint: str = '',
  documents: Mapping[str, Any] | None = None,
  progress: bool = True,
) -> dict[str, float]:
  """Trains a stage, from its newest whole checkpoint if there is one.

  Args:
    stage: init, step, evaluate.
    batches: batch i for step i.
    evaluation: batches for `stage.evaluate`, all of one shape.
    schedule: how long and how often.
    checkpoints: where steps are kept.
    open_writer: step -> the writer of a run that goes on after this step; called once it is known
      that the checkpoints are of these data.
    mesh: the devices; the batch lies over its axis `data`.
    seed: of every key.
    mode: 'jit': one program over global arrays. 'pmap': one program per device on its share of
      the batch; the stage's optimizers must average gradients (`core.sharding.average_gradients`).
      The two give the same numbers where the objective draws no noise and its mask has the same
      weight on each device: per-device programs draw their own noise and average by device.
    fsdp: cut the state up instead of copying it ('jit' only).
    fingerprint: of the data; a resumed run must have the same.
    documents: JSON documents to keep in each checkpoint.
    progress: show a bar, or lines where there is no terminal.

  Returns:
    The last metrics, 'train/...' and 'test/...'.

  Raises:
    InputError: the checkpoints are of other data, or all damaged.
    Diverged: a metric was not finite; that step is not saved.
    Preempted: SIGTERM came; the step is saved.
  """
  if mode not in MODES or (fsdp and mode != 'jit'):
    raise InputError(f"got mode {mode!r}, fsdp {fsdp}, expected a mode of {MODES}, fsdp with 'jit'")
  example = batches[0]
  like = _abstract_state(stage, example, seed, mesh, fsdp)
  state, start = _restore_or_init(stage, example, like, seed, checkpoints, fingerprint)
  step = _step_function(stage, seed, mesh, mode, jax.tree.map(lambda x: x.sharding, like))
  evaluate = _evaluator(stage, evaluation, seed, mesh)
  results: dict[str, float] = {}

  def save(step_number: int) -> None:
    data = {'position': step_number, 'fingerprint': fingerprint}
    served = {name: state.ema[name] for name in stage.serves}
    checkpoints.save(step_number, state, served, {'data': data, **(documents or {})})

  with (
    open_writer(start) as writer,
    Progress(stage.name, start, schedule.steps, progress) as shown,
    contextlib.closing(batches.iterate(start)) as feed,
    _Termination() as termination,
  ):
    report = _Report()
    for i in range(start, schedule.steps):
      batch = next(feed)
      with jax.transfer_guard('disallow'):
        state, metrics = step(state, sharding.place_batch(batch, mesh))
      report.add(i + 1, metrics)
      done, stop = i + 1, termination.asked(i + 1)
      if due(done, schedule.log_every, schedule.steps) or stop:
        results |= _named('train', report.take())
        writer.write(done, {n: v for n, v in results.items() if n.startswith('train/')})
      shown.update(done, results)
      if due(done, schedule.save_every, schedule.steps) or stop:
        report.check()  # what is not finite is not saved
        save(done)
      checkpoints.poll()
      if stop:
        checkpoints.seal()
        raise Preempted(done)
      if due(done, schedule.eval_every, schedule.steps):
        results |= _named('test', evaluate(state.ema))
        writer.write(done, {n: v for n, v in results.items() if n.startswith('test/')})
    checkpoints.seal()
    if start >= schedule.steps:
      results |= _named('test', evaluate(state.ema))
  return results


def _abstract_state(stage: Stage, example: Any, seed: int, mesh: Mesh, fsdp: bool) -> State:
  like = jax.eval_shape(lambda: _init(stage, example, seed))
  if fsdp:
    places = sharding.fsdp(like, mesh)
  else:
    places = jax.tree.map(lambda _: sharding.replicated(mesh), like)
  return jax.tree.map(
    lambda x, place: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), like, places
  )


def _init(stage: Stage, example: Any, seed: int) -> State:
  zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), example)
  return stage.init(rng.key_for(seed, f'{stage.name}/init'), zeros)


def _restore_or_init(
  stage: Stage, example: Any, like: State, seed: int, checkpoints: Checkpoints, fingerprint: str
) -> tuple[State, int]:
  restored = checkpoints.restore(like, ('data',))
  if restored is None:
    # Born where it belongs: no device ever holds more than its share.
    places = jax.tree.map(lambda x: x.sharding, like)
    return jax.jit(lambda: _init(stage, example, seed), out_shardings=places)(), 0
  data = restored.documents['data']
  if data['fingerprint'] != fingerprint:
    raise InputError(
      f'got data with fingerprint {fingerprint}, expected {data["fingerprint"]} as at step '
      f'{restored.step}; give the same records or a new workdir'
    )
  return restored.state, int(data['position'])


def _step_function(stage: Stage, seed: int, mesh: Mesh, mode: str, places: Any) -> Callable:
  whole, cut = sharding.replicated(mesh), sharding.over_data(mesh)

  def step(state, batch):
    return stage.step(state, batch, rng.key_for(seed, f'{stage.name}/step', state.step))

  def step_of_one_device(state, batch):
    key = rng.key_for(seed, f'{stage.name}/step', state.step)
    key = jax.random.fold_in(key, jax.lax.axis_index(sharding.AXIS))
    state, metrics = stage.step(state, batch, key)
    stats = jax.lax.pmean(state.stats, sharding.AXIS)
    return dataclasses.replace(state, stats=stats), jax.lax.psum(metrics, sharding.AXIS)

  if mode == 'jit':
    return jax.jit(
      step, in_shardings=(places, cut), out_shardings=(places, whole), donate_argnums=0
    )
  # check_vma=False: gradients stay per device, and the optimizers average them (pmean).
  mapped = jax.shard_map(
    step_of_one_device,
    mesh=mesh,
    in_specs=(P(), P(sharding.AXIS)),
    out_specs=P(),
    check_vma=False,
  )
  return jax.jit(mapped, donate_argnums=0)


def _evaluator(stage: Stage, batches: Items, seed: int, mesh: Mesh) -> Callable:
  @jax.jit
  def one(params, batch, index):
    return stage.evaluate(params, batch, rng.key_for(seed, f'{stage.name}/evaluate', index))

  def evaluate(params) -> dict[str, float]:
    total = None
    for i in range(len(batches)):
      with jax.transfer_guard('disallow'):
        index = jax.device_put(np.int32(i), sharding.replicated(mesh))
        part = jax.device_get(one(params, sharding.place_batch(batches[i], mesh), index))
      total = part if total is None else _add(total, part)
    return means.finalize(total or {})

  return evaluate


def _add(a: Mapping[str, means.Mean], b: Mapping[str, means.Mean]) -> dict[str, means.Mean]:
  return {name: means.Mean(a[name].total + b[name].total, a[name].count + b[name].count)
          for name in a}  # fmt: skip


class _Report:
  """Means since the last report. A step is read one step late, so the device never waits."""

  def __init__(self):
    self._pending: tuple[int, Any] | None = None
    self._total: dict[str, means.Mean] | None = None

  def add(self, step: int, metrics: Mapping[str, means.Mean]) -> None:
    """Takes the metrics of a step that may still be running; reads those of the one before."""
    self.check()
    self._pending = (step, metrics)

  def check(self) -> None:
    """Reads what is pending. Raises Diverged if it is not finite."""
    if self._pending is None:
      return
    (step, metrics), self._pending = self._pending, None
    metrics = jax.device_get(metrics)
    for name, value in metrics.items():
      if not math.isfinite(value.total):
        raise Diverged(
          f'got {value.total} for {name} of phase {name.split("/")[0]!r} at step {step}, expected '
          'a finite number; lower the learning rate or look at the data of that batch'
        )
    self._total = metrics if self._total is None else _add(self._total, metrics)

  def take(self) -> dict[str, float]:
    """The means since the last call."""
    self.check()
    total, self._total = self._total, None
    return means.finalize(total or {})


class _Termination(contextlib.AbstractContextManager):
  """Turns SIGTERM and SIGINT into a question that is asked at the border of a step."""

  def __enter__(self) -> '_Termination':
    self._asked = False
    self._before = {}
    # With several processes JAX itself makes them agree on a step.
    if jax.process_count() == 1 and threading.current_thread() is threading.main_thread():
      for number in (signal.SIGTERM, signal.SIGINT):
        self._before[number] = signal.signal(number, self._ask)
    return self

  def __exit__(self, *error) -> None:
    for number, handler in self._before.items():
      signal.signal(number, handler)

  def asked(self, step: int) -> bool:
    """True once the process was asked to end."""
    if jax.process_count() > 1:
      return multihost_utils.reached_preemption_sync_point(step)
    return self._asked

  def _ask(self, number: int, frame: Any) -> None:
    del number, frame
    self._asked = True


def _named(split: str, values: Mapping[str, float]) -> dict[str, float]:
  return {f'{split}/{name}': value for name, value in values.items()}
