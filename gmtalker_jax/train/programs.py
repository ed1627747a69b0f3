"""The compiled programs of a run: the state's birth, the training step, the evaluation.

They know the mesh and the seed; nothing here knows time, disk or a signal.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from gmtalker_jax.core import flops, means, rng, sharding, topology
from gmtalker_jax.core.means import Mean
from gmtalker_jax.data.batches import Items
from gmtalker_jax.stages.base import Metrics, Stage
from gmtalker_jax.types import State

APPLIED = 'applied'  # the share of steps that were applied


def abstract_state(
  stage: Stage, example: Any, seed: int, mesh: Mesh, copied: Sequence[str] = ()
) -> State:
  """Shapes, dtypes and places of a state; makes no array.

  Args:
    stage: whose state.
    example: a batch.
    seed: of every key.
    mesh: the devices.
    copied: what each of them has whole, see `sharding.of_state`.
  """
  like = jax.eval_shape(lambda: _init(stage, example, seed))
  return jax.tree.map(
    lambda x, place: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place),
    like, sharding.of_state(like, mesh, copied),
  )  # fmt: skip


def first_state(stage: Stage, example: Any, seed: int, like: State) -> State:
  """The state of step 0. Born where it belongs: no device ever holds more than its share."""
  return jax.jit(lambda: _init(stage, example, seed), out_shardings=places(like))()


def train_step(stage: Stage, seed: int, mesh: Mesh, mode: str, like: State) -> Callable:
  """Builds `step(state, batch) -> (state, metrics)`, see `loop.Run.mode`; the state is donated.

  A step with a metric (a loss, a gradient's norm) or a statistic that is not finite is not applied:
  only `state.step` goes on. The metric APPLIED says so.
  """
  whole, cut = sharding.replicated(mesh), sharding.over_data(mesh)

  def step(state, batch):
    key = rng.key_for(seed, f'{stage.name}/step', state.step)
    gather = functools.partial(sharding.gather, mesh=mesh)
    return _unless_broken(state, *stage.step(state, batch, key, gather))

  def step_of_one_device(state, batch):
    key = rng.key_for(seed, f'{stage.name}/step', state.step)
    size = len(jax.tree.leaves(batch)[0])
    with rng.part(jax.lax.axis_index(sharding.AXIS) * size + jnp.arange(size)):
      after, metrics = stage.step(state, batch, key)
    after = dataclasses.replace(after, stats=jax.lax.pmean(after.stats, sharding.AXIS))
    return _unless_broken(state, after, jax.lax.psum(metrics, sharding.AXIS))

  if mode == 'jit':
    kept = places(like)
    return jax.jit(step, in_shardings=(kept, cut), out_shardings=(kept, whole), donate_argnums=0)
  # check_vma=False: gradients stay per device, and the optimizers average them (pmean).
  mapped = jax.shard_map(
    step_of_one_device,
    mesh=mesh,
    in_specs=(P(), P(sharding.AXIS)),
    out_specs=P(),
    check_vma=False,
  )
  return jax.jit(mapped, donate_argnums=0)


def ideal_seconds(step: Any, like: State, example: Any, mesh: Mesh) -> float:
  """Seconds of a step at its devices' peak in bfloat16; 0 where that is not known.

  A phase that is due every so often counts as if it were due each time.
  """
  peak = topology.peak(mesh.devices.flat[0].device_kind)
  if not peak:
    return 0.0
  rows = len(jax.tree.leaves(example)[0]) * jax.process_count()  # `example` is this process's share
  place = sharding.over_data(mesh)
  batch = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct((rows, *x.shape[1:]), x.dtype, sharding=place), example
  )
  return flops.count(step.trace(like, batch).jaxpr) / mesh.size / peak


def evaluator(stage: Stage, batches: Items, seed: int, mesh: Mesh) -> Callable:
  """Builds `evaluate(params) -> {name: mean over all of `batches`}`."""

  def one(params, batch, index):
    params = sharding.gather(params, mesh)
    return stage.evaluate(params, batch, rng.key_for(seed, f'{stage.name}/evaluate', index))

  # Whole sums on every device: any process can read them.
  compiled = jax.jit(one, out_shardings=sharding.replicated(mesh))

  def evaluate(params) -> dict[str, float]:
    total = None
    for i in range(len(batches)):
      with jax.transfer_guard('disallow'):
        index = sharding.place_everywhere(np.int32(i), mesh)
        part = jax.device_get(compiled(params, sharding.place_batch(batches[i], mesh), index))
      total = part if total is None else means.merge(total, part)
    return means.finalize(total or {})

  return evaluate


def places(like: State) -> Any:
  """The sharding of each array of an abstract state."""
  return jax.tree.map(lambda x: x.sharding, like)


def _unless_broken(before: State, after: State, metrics: Metrics) -> tuple[State, Metrics]:
  """What a step gave, or the state of before if a metric or a statistic of it is not finite.

  Each gradient's norm is a metric. To look at the weights would compute every update twice; a save
  looks at them, and the next step's loss tells.
  """
  seen = jax.tree.leaves((after.stats, [m.total for m in metrics.values()]))
  floats = [x for x in seen if jnp.issubdtype(x.dtype, jnp.inexact)]
  fine = jnp.stack([jnp.isfinite(x).all() for x in floats]).all()
  # On a CPU a choice for each array, which becomes part of its update: a branch copies the whole
  # state (a tenth of the full painter's step). On a TPU the choice is what costs.
  kept = jax.lax.platform_dependent(
    fine, after, before,
    cpu=lambda fine, *both: jax.tree.map(functools.partial(jnp.where, fine), *both),
    default=lambda fine, *both: jax.lax.cond(fine, lambda: both[0], lambda: both[1]),
  )  # fmt: skip
  applied = Mean(fine.astype(jnp.float32), jnp.float32(1))
  return dataclasses.replace(kept, step=after.step), {**metrics, APPLIED: applied}


def _init(stage: Stage, example: Any, seed: int) -> State:
  zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), example)
  return stage.init(rng.key_for(seed, f'{stage.name}/init'), zeros)
