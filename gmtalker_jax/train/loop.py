"""The only training loop. It knows no network, no objective and no kind of data.

Step i takes batch i and keys that are functions of (seed, i), so a run that was stopped and
resumed is, bit for bit, the run that was not.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from gmtalker_jax.core import sharding
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data.batches import Batches, Items
from gmtalker_jax.io.checkpoints import Checkpoints, Saved
from gmtalker_jax.io.writers import Writer
from gmtalker_jax.stages.base import Stage
from gmtalker_jax.train import programs
from gmtalker_jax.train.cadence import due
from gmtalker_jax.train.faults import Diverged, Faults, Guard, Taken
from gmtalker_jax.train.pace import Pace
from gmtalker_jax.train.profile import Profile
from gmtalker_jax.train.progress import Progress
from gmtalker_jax.train.report import Report, named
from gmtalker_jax.train.termination import Preempted, Termination
from gmtalker_jax.train.watchdog import Watchdog
from gmtalker_jax.types import State

MODES = ('jit', 'pmap')
STRICT = Faults(skips=0, rollbacks=0, bad_share=0.0, watchdog_s=0.0)  # the first one ends it
_logger = logging.getLogger(__name__)


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
  mesh: Mesh  # see core/sharding.py
  seed: int = 0  # of every key
  # 'jit': one program over global arrays. 'pmap': one program per device on its share of the
  # batch; the stage's optimizers must average gradients (`core.sharding.average_gradients`). The
  # two give the same numbers where the objective is a mean over examples, of the same weight on
  # each device.
  mode: str = 'jit'
  copied: Sequence[str] = ()  # what is not cut up along `fsdp`, see `sharding.of_state`
  fingerprint: str = ''  # of the data; a resumed run must have the same
  documents: Mapping[str, Any] = {}  # JSON documents to keep in each checkpoint
  faults: Faults = STRICT  # how many it bears
  rates: Mapping[str, Callable[[int], Any]] = {}  # learning rates by step, to be reported
  progress: bool = True  # show a bar, or lines where there is no terminal
  profile: Profile = Profile()  # steps to trace


def fit(run: Run) -> dict[str, float]:
  """Trains a stage, from its newest whole checkpoint if there is one.

  A step that gives anything that is not finite is not applied. After `faults.skips` of them in a
  row the run goes back to its newest checkpoint and takes the data that follow the broken batches;
  after `faults.rollbacks` times it stops.

  Returns:
    The last metrics, 'train/...' and 'test/...'.

  Raises:
    InputError: the checkpoints are of other data, or all damaged.
    faults.Diverged: too many steps were not finite; none of them is in a checkpoint.
    Preempted: SIGTERM came; the step is saved.
    checkpoints.SaveFailed: the last step could not be saved.
  """
  shared = run.mesh.shape[sharding.FSDP]
  if run.mode not in MODES or (shared > 1 and run.mode != 'jit'):
    raise InputError(
      f'got mode {run.mode!r} with a state shared by {shared} devices, expected one of {MODES}; '
      "only 'jit' shares"
    )
  example = run.batches[0]
  like = programs.abstract_state(run.stage, example, run.seed, run.mesh, run.copied)
  step = programs.train_step(run.stage, run.seed, run.mesh, run.mode, like)
  compiled = _Programs(
    step,
    programs.evaluator(run.stage, run.evaluation, run.seed, run.mesh),
    programs.ideal_seconds(step, like, example, run.mesh),
  )
  at, rollbacks = _restore_or_begin(run, example, like), 0
  with Termination() as termination, Watchdog(run.faults.watchdog_s) as watchdog:
    while True:
      try:
        return _train(run, compiled, at, termination, watchdog)
      except Diverged as diverged:
        if rollbacks == run.faults.rollbacks:
          raise
        rollbacks += 1
        run.checkpoints.poll(wait=True)
        at = _restore_or_begin(run, example, like)
        at = at._replace(position=diverged.taken.position + 1)
        _logger.warning(
          '%s; back to step %d, with the data from batch %d on (%d of %d times)',
          diverged, at.step, at.position, rollbacks, run.faults.rollbacks,
        )  # fmt: skip


class _Programs(NamedTuple):
  step: Callable[..., Any]
  evaluate: Callable[..., dict[str, float]]
  ideal: float  # seconds of a step at the devices' peak; 0 where that is not known


class _Place(NamedTuple):
  """Where a run stands."""

  state: State
  step: int  # steps done
  position: int  # of the next batch; the two part where a run went back


def _train(
  run: Run, compiled: _Programs, at: _Place, termination: Termination, watchdog: Watchdog
) -> dict[str, float]:
  schedule, checkpoints, steps = run.schedule, run.checkpoints, run.schedule.steps
  results: dict[str, float] = {}
  speed: dict[str, float] = {}
  state, ahead = at.state, at.position - at.step
  with (
    run.open_writer(at.step) as writer,
    Progress(run.stage.name, at.step, steps, run.progress) as shown,
    contextlib.closing(run.batches.iterate(at.position)) as feed,
    run.profile as profile,
  ):
    pace = Pace(_size(run.batches[0]) * jax.process_count(), run.mesh.size, compiled.ideal)
    guard = Guard(run.faults, run.batches.members, writer.fault)
    report = Report(guard.applied, lambda taken, broken: guard.skipped(taken, broken, state))
    for i in range(at.step, steps):
      begun = time.monotonic()
      watchdog.at(i + 1, 'the batch')
      profile.before(i + 1)
      batch = next(feed)
      pace.waited(time.monotonic() - begun)
      watchdog.at(i + 1, 'the computation')
      with jax.transfer_guard('disallow'):
        state, metrics = compiled.step(state, sharding.place_batch(batch, run.mesh))
      profile.after(i + 1, metrics)
      report.add(Taken(i + 1, i + ahead, batch), metrics)
      pace.step(begun)
      done, stop = i + 1, termination.asked(i + 1)
      if due(done, schedule.log_every, steps) or stop:
        results |= named('train', report.take())
        own = {n: v for n, v in results.items() if n.startswith('train/')}
        rates = {name: float(rate(i)) for name, rate in run.rates.items()}
        speed = named('pace', pace.take())
        writer.write(done, own | named('rate', rates) | speed)
      shown.update(done, results | speed)
      if due(done, schedule.save_every, steps) or stop:
        watchdog.at(done, 'the save')
        report.check()
        if not guard.streak or stop or done == steps:  # else it may not be a good place
          _save(run, _Place(state, done, done + ahead))
      _tell(writer, checkpoints.poll())
      if stop:
        _tell(writer, checkpoints.wait())
        raise Preempted(done, termination.code)
      if due(done, schedule.eval_every, steps):
        watchdog.at(done, 'the evaluation')
        results |= named('test', compiled.evaluate(state.ema))
        writer.write(done, {n: v for n, v in results.items() if n.startswith('test/')})
        pace.pause()
    watchdog.at(steps, 'the last save')
    _tell(writer, checkpoints.wait())
    if at.step >= steps:
      results |= named('test', compiled.evaluate(state.ema))
  return results


def _size(batch: Any) -> int:
  return len(jax.tree.leaves(batch)[0])


def _save(run: Run, at: _Place) -> None:
  data = {'position': at.position, 'fingerprint': run.fingerprint}
  served = {name: at.state.ema[name] for name in run.stage.serves}
  run.checkpoints.save(at.step, at.state, served, {'data': data, **run.documents})


def _restore_or_begin(run: Run, example: Any, like: State) -> _Place:
  def accept(step: int, documents: Mapping[str, Any]) -> None:
    before = documents['data']['fingerprint']
    if before != run.fingerprint:
      raise InputError(
        f'got data with fingerprint {run.fingerprint}, expected {before} as at step {step}; give '
        'the same records or a new workdir'
      )

  restored = run.checkpoints.restore(like, ('data',), accept)
  if restored is None:
    return _Place(programs.first_state(run.stage, example, run.seed, like), 0, 0)
  return _Place(restored.state, restored.step, int(restored.documents['data']['position']))


def _tell(writer: Writer, saved: Saved | None) -> None:
  """A row in the metrics for each checkpoint: they know that there was one."""
  if saved is not None:
    taken = {'seconds': round(saved.seconds, 3), 'blocked_seconds': round(saved.blocked, 3)}
    writer.write(saved.step, named('checkpoint', taken))
