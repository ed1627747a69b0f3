"""A stage is a table of phases; one function turns any table into a pure step.

A GAN with lazy regularisers and a plain variational model are the same thing here: rows that say
who learns, from which loss, how often. A gradient reaches only `params[phase.trains]`, by
construction.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from gmtalker_jax.core import rng, trees
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.core.means import Mean
from gmtalker_jax.types import Params, State

Metrics = dict[str, Mean]
# loss(params, stats, batch, key, step) -> (scalar, (metrics, changed stats)); a metric is a scalar
# array or a Mean.
LossFn = Callable[..., tuple[jax.Array, tuple[Mapping[str, Any], Mapping[str, Any]]]]
Optimizers = Mapping[str, optax.GradientTransformation]


class Phase(NamedTuple):
  """One row of the table."""

  name: str
  trains: str  # the network that this phase's gradient reaches
  loss: LossFn
  every: int = 1  # runs on steps divisible by this; its gradient is scaled up to make up for it


class Memory(NamedTuple):
  """How a step saves memory. The numbers stay the same, up to the order of sums."""

  accumulate: int = 1  # parts of a batch, one after the other, whose gradients are averaged
  remat: str = ''  # what the backward pass finds kept: block | layer; '' = all; the rest again


REMAT = {'': (), 'block': ('block',), 'layer': ('block', 'layer')}  # names that networks give
WHOLE = Memory()


class Stage(NamedTuple):
  """A generator and how it is trained: pure functions over a `State`."""

  name: str
  serves: tuple[str, ...]  # networks that inference loads
  init: Callable[..., State]  # (key, batch) -> State
  step: Callable[..., tuple[State, Metrics]]  # (state, batch, key, gather=) -> (State, Metrics)
  evaluate: Callable[..., Metrics]  # (params, batch, key) -> Metrics


def adopt_all(own: Params, given: Params) -> Params:
  """The weights that a generator begins with: those of another one with the same names and shapes.

  Raises InputError where `given` has others than `own` (arrays, or their shapes).
  """
  problem = trees.mismatch(own, given)
  if problem:
    raise InputError(f'got weights to begin with that are of another model ({problem})')
  return jax.tree.map(jnp.asarray, dict(given))


class Spec(NamedTuple):
  """The one place that declares a stage. Whatever walks over the stages reads these rows."""

  name: str
  generator: type[nn.Module]  # the network that is served; config.model has its fields
  objective: type  # a dataclass: config.loss has its fields
  sizes: tuple[str, ...]  # fields of the generator that the data dictate, not the config
  # generator -> a batch of zeros that it takes, B = 1; of clips, (generator, frames) too
  blank: Callable[..., Any]
  inputs: Callable[..., tuple]  # (generator, batch) -> the arguments of its `__call__`
  make: Callable[..., Stage]  # (model, loss, optimizers, ema_decay, memory, **assets) -> Stage
  curves: tuple[tuple[str, ...], ...]  # what a report plots: one row of metrics per plot
  critics: Mapping[str, type[nn.Module]] = {}  # networks that only train; sections of config.model
  # (own, given) -> the generator's parameters when it begins with trained ones, see `adopt_all`
  adopt: Callable[[Params, Params], Params] = adopt_all

  def abstract_params(self, generator: nn.Module) -> Params:
    """Names, shapes and dtypes of the generator's parameters; makes no array."""

    def init() -> Params:
      return generator.init(jax.random.key(0), *self.inputs(generator, self.blank(generator)))

    return jax.eval_shape(init)['params']


def needed(optimizers: Optimizers, names: Sequence[str]) -> Optimizers:
  """The optimizers of the networks that learn. Raises InputError where one is missing."""
  missing = [n for n in names if n not in optimizers]
  if missing:
    raise InputError(f'got no optimizer for {missing}, expected {names}, add it to the config')
  return {n: optimizers[n] for n in names}


def make_init(
  init_params: Callable[..., Params],
  optimizers: Optimizers,
  serves: Sequence[str],
  stats: Callable[[], Mapping[str, Any]] = dict,
) -> Callable[..., State]:
  """Builds `init(key, batch) -> State` from `init_params(key, batch)`. The key is consumed.

  Only the networks in `serves` have a moving average.
  """

  def init(key: jax.Array, batch: Any) -> State:
    params = init_params(key, batch)
    return State(
      step=jnp.zeros((), jnp.int32),
      params=params,
      opt_state={name: tx.init(params[name]) for name, tx in optimizers.items()},
      # Never an alias: the step donates its state.
      ema={name: jax.tree.map(jnp.copy, params[name]) for name in serves},
      stats=stats(),
    )

  return init


def beginning_with(stage: Stage, spec: Spec, given: Params) -> Stage:
  """The same stage, whose generator begins with trained parameters; critics begin anew."""

  def init(key: jax.Array, batch: Any) -> State:
    state = stage.init(key, batch)
    begun = spec.adopt(state.params['generator'], given)
    own = jax.tree.map(jnp.copy, begun)  # never an alias, see make_init
    params, ema = {**state.params, 'generator': begun}, {**state.ema, 'generator': own}
    return dataclasses.replace(state, params=params, ema=ema)

  return stage._replace(init=init)


def begun_with(spec: Spec, generator: nn.Module, given: Params) -> dict[str, Any]:
  """What a training that begins with `given` takes of it, by names: a JSON document.

  'loaded': arrays as they were given, with their shapes; 'adapted': arrays that were made of what
  was given; 'new': networks that were not given. Raises InputError, see `adopt_all`.
  """
  begun = trees.leaves(spec.adopt(spec.abstract_params(generator), given))
  known = trees.leaves(given)
  loaded = {
    name: list(x.shape)
    for name, x in begun.items()
    if name in known and np.array_equal(x, known[name])
  }
  adapted = {
    name: {'from': list(known[name].shape), 'to': list(x.shape)}
    for name, x in begun.items()
    if name not in loaded
  }
  return {'loaded': loaded, 'adapted': adapted, 'new': sorted(spec.critics)}


def make_step(
  phases: Sequence[Phase], optimizers: Optimizers, ema_decay: float, memory: Memory = WHOLE
) -> Callable[..., tuple[State, Metrics]]:
  """Builds `step(state, batch, key)`. Each phase gets a key of its own; the key is consumed.

  `step(..., gather=)` is told how parameters that are cut up over devices become whole: what a
  phase reads is gathered, what its optimizer works on stays cut.

  With `memory.accumulate` > 1 a gradient is the mean of those of so many parts of the batch: the
  same numbers where the loss is a mean over examples, of the same weight in each part.
  """

  def run(phase: Phase, gather, params, opt_state, stats, batch, key, step):
    read = gather(params)

    def loss(own, rows):
      value, (metrics, changed) = phase.loss({**read, phase.trains: own}, stats, rows, key, step)
      metrics = {n: v if isinstance(v, Mean) else Mean.of(v) for n, v in metrics.items()}
      return value * phase.every, (metrics, changed)  # a lazy phase keeps its mean gradient

    kept = jax.checkpoint_policies.save_only_these_names(*REMAT[memory.remat])
    thrifty = jax.checkpoint(loss, policy=kept) if memory.remat else loss
    gradient = functools.partial(jax.grad(thrifty, has_aux=True), read[phase.trains])
    grads, (metrics, changed) = _over_parts(gradient, batch, memory.accumulate)
    updates, opt = optimizers[phase.trains].update(
      grads, opt_state[phase.trains], params[phase.trains]
    )
    params = {**params, phase.trains: optax.apply_updates(params[phase.trains], updates)}
    metrics = {f'{phase.name}/{name}': value for name, value in metrics.items()}
    metrics[f'{phase.name}/grad_norm'] = Mean.of(optax.tree.norm(grads))
    return params, {**opt_state, phase.trains: opt}, {**stats, **changed}, metrics

  def step(
    state: State, batch: Any, key: jax.Array, gather: Callable[[Params], Params] = lambda x: x
  ) -> tuple[State, Metrics]:
    carry = (dict(state.params), dict(state.opt_state), dict(state.stats))
    metrics: Metrics = {}
    for i, phase in enumerate(phases):
      args = (*carry, batch, jax.random.fold_in(key, i), state.step)
      due = functools.partial(run, phase, gather)
      if phase.every == 1:
        *carry, out = due(*args)
      else:
        skip = functools.partial(_skip, jax.eval_shape(due, *args)[3])
        *carry, out = jax.lax.cond(state.step % phase.every == 0, due, skip, *args)
      metrics |= out
    params, opt_state, stats = carry
    served = {name: params[name] for name in state.ema}
    ema = jax.tree.map(lambda e, p: e * ema_decay + p * (1 - ema_decay), state.ema, served)
    return State(state.step + 1, params, opt_state, ema, stats), metrics

  return step


def _skip(shapes, params, opt_state, stats, *_):
  return params, opt_state, stats, jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)


def _over_parts(gradient: Callable[..., Any], batch: Any, parts: int) -> Any:
  """`gradient(batch)`, which is (gradients, (metrics, changed)), over parts of the batch.

  Part k has rows k, k + parts, ..., so that each device keeps the rows that it has.
  """
  if parts == 1:
    return gradient(batch)
  cut = jax.tree.map(lambda x: x.reshape(-1, parts, *x.shape[1:]).swapaxes(0, 1), batch)
  size = len(jax.tree.leaves(cut)[0][0])

  def add(total, part):
    number, rows = part
    with rng.part(number + parts * jnp.arange(size)):
      return jax.tree.map(jnp.add, total, gradient(rows)), None

  numbers = jnp.arange(parts)
  shapes = jax.eval_shape(lambda: gradient(jax.tree.map(lambda x: x[0], cut)))
  zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
  (grads, (metrics, changed)), _ = jax.lax.scan(add, zeros, (numbers, cut))
  grads, changed = jax.tree.map(lambda x: x / parts, (grads, changed))
  return grads, (metrics, changed)
