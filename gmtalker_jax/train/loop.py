"""The only training loop. It knows no network, no objective and no kind of data.

Step i takes batch i and keys that are functions of (seed, i), so a run that was stopped and
resumed is, bit for bit, the run that was not.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from gmtalker_jax.core import sharding
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data.batches import Batches, Items
from gmtalker_jax.io.checkpoints import Checkpoints
from gmtalker_jax.io.writers import Writer
from gmtalker_jax.stages.base import Stage
from gmtalker_jax.train import programs
from gmtalker_jax.train.cadence import due
from gmtalker_jax.train.progress import Progress
from gmtalker_jax.train.report import Report, named
from gmtalker_jax.train.termination import Preempted, Termination
from gmtalker_jax.types import State

MODES = ('jit', 'pmap')


class Schedule(NamedTuple):
  """How long and how often, in steps; 0 = only at the end."""

  steps: int
  save_every: int
  eval_every: int
  log_every: int


class Run(NamedTuple):
  """One training: who learns, from what, for how long, where, and what is kept of it."""

  stage: Stage
  batches: Batches  # batch i for step i
  evaluation: Items  # batches for `stage.evaluate`, all of one shape
  schedule: Schedule
  checkpoints: Checkpoints  # where steps are kept
  # step -> the writer of a run that goes on after this step; called once it is known that the
  # checkpoints are of these data
  open_writer: Callable[[int], Writer]
  mesh: Mesh  # the batch lies over its axis `data`
  seed: int = 0  # of every key
  # 'jit': one program over global arrays. 'pmap': one program per device on its share of the
  # batch; the stage's optimizers must average gradients (`core.sharding.average_gradients`). The
  # two give the same numbers where the objective draws no noise and its mask has the same weight
  # on each device: per-device programs draw their own noise and average by device.
  mode: str = 'jit'
  fsdp: bool = False  # cut the state up instead of copying it ('jit' only)
  fingerprint: str = ''  # of the data; a resumed run must have the same
  documents: Mapping[str, Any] = {}  # JSON documents to keep in each checkpoint
  progress: bool = True  # show a bar, or lines where there is no terminal


def fit(run: Run) -> dict[str, float]:
  """Trains a stage, from its newest whole checkpoint if there is one.

  Returns:
    The last metrics, 'train/...' and 'test/...'.

  Raises:
    InputError: the checkpoints are of other data, or all damaged.
    report.Diverged: a metric was not finite; that step is not saved.
    Preempted: SIGTERM came; the step is saved.
  """
  if run.mode not in MODES or (run.fsdp and run.mode != 'jit'):
    raise InputError(
      f"got mode {run.mode!r}, fsdp {run.fsdp}, expected a mode of {MODES}, fsdp with 'jit'"
    )
  stage, schedule, checkpoints = run.stage, run.schedule, run.checkpoints
  example = run.batches[0]
  like = programs.abstract_state(stage, example, run.seed, run.mesh, run.fsdp)
  state, start = _restore_or_begin(run, example, like)
  step = programs.train_step(stage, run.seed, run.mesh, run.mode, like)
  evaluate = programs.evaluator(stage, run.evaluation, run.seed, run.mesh)
  results: dict[str, float] = {}

  with (
    run.open_writer(start) as writer,
    Progress(stage.name, start, schedule.steps, run.progress) as shown,
    contextlib.closing(run.batches.iterate(start)) as feed,
    Termination() as termination,
  ):
    report = Report()
    for i in range(start, schedule.steps):
      batch = next(feed)
      with jax.transfer_guard('disallow'):
        state, metrics = step(state, sharding.place_batch(batch, run.mesh))
      report.add(i + 1, metrics)
      done, stop = i + 1, termination.asked(i + 1)
      if due(done, schedule.log_every, schedule.steps) or stop:
        results |= named('train', report.take())
        writer.write(done, {n: v for n, v in results.items() if n.startswith('train/')})
      shown.update(done, results)
      if due(done, schedule.save_every, schedule.steps) or stop:
        report.check()  # what is not finite is not saved
        _save(run, done, state)
      checkpoints.poll()
      if stop:
        checkpoints.seal()
        raise Preempted(done)
      if due(done, schedule.eval_every, schedule.steps):
        results |= named('test', evaluate(state.ema))
        writer.write(done, {n: v for n, v in results.items() if n.startswith('test/')})
    checkpoints.seal()
    if start >= schedule.steps:
      results |= named('test', evaluate(state.ema))
  return results


def _save(run: Run, step: int, state: State) -> None:
  data = {'position': step, 'fingerprint': run.fingerprint}
  served = {name: state.ema[name] for name in run.stage.serves}
  run.checkpoints.save(step, state, served, {'data': data, **run.documents})


def _restore_or_begin(run: Run, example: Any, like: State) -> tuple[State, int]:
  restored = run.checkpoints.restore(like, ('data',))
  if restored is None:
    return programs.first_state(run.stage, example, run.seed, like), 0
  data = restored.documents['data']
  if data['fingerprint'] != run.fingerprint:
    raise InputError(
      f'got data with fingerprint {run.fingerprint}, expected {data["fingerprint"]} as at step '
      f'{restored.step}; give the same records or a new workdir'
    )
  return restored.state, int(data['position'])
