"""What a training step costs on machines that are not there: it is compiled for them, not run."""

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import jax

from gmtalker_jax.core import flops, hlo, sharding, traffic
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.core.topology import Chip, Topology
from gmtalker_jax.core.traffic import Move
from gmtalker_jax.stages import STAGES
from gmtalker_jax.train import programs, run
from gmtalker_jax.train.settings import Settings

_LARGEST = 4_096  # examples per chip: more are not looked for


class Plan(NamedTuple):
  """One step of one stage on one topology. Bytes and flops are those of one chip."""

  stage: str
  topology: str
  chips: int
  batch: int  # examples per chip
  params: int  # bytes of all networks that learn
  optimizer: int
  average: int  # the moving averages
  memory: int  # bytes at the peak: state, batch, program and what is between
  flops: float
  moves: Sequence[Move]  # in and out of the chip's memory
  collectives: Mapping[str, int]  # kind -> how many
  sent: float  # bytes to neighbours, by the best ring
  compile_seconds: float
  chip: Chip
  loops: int = 0  # of the program; what is in one counts once, however often it runs
  written: float = 0.0  # flops that the step asks for, see core/flops.py

  @property
  def moved(self) -> float:
    """Bytes read and written in the chip's memory."""
    return float(sum(move.size for move in self.moves))

  @property
  def headroom(self) -> float:
    """Bytes of the chip that stay free; negative where it does not fit."""
    return self.chip.memory - self.memory

  @property
  def seconds(self) -> dict[str, float]:
    """The roofline: the least time of each limit; a step takes the longest of them, or more."""
    return {
      'compute': self.flops / self.chip.flops,
      'memory': self.moved / self.chip.bandwidth,
      'interconnect': self.sent / self.chip.link,
    }


def make(
  config: Mapping[str, Any],
  topology: Topology,
  sizes: Mapping[str, int],
  per_chip: int = 0,
  count_only: bool = False,
) -> Plan:
  """Compiles the training step of a config for a topology.

  Args:
    config: see configs/.
    topology: what to compile for.
    sizes: what the records would say, by field of the generator; fields that it lacks are ignored.
    per_chip: examples per chip; 0 = config.data.batch_size over all chips.
    count_only: compile nothing; what only a compiler knows is 0, and the flops are those written.

  Raises:
    InputError: the config is wrong, or its batch is not divisible.
    TooLarge: the compiler says that it does not fit.
  """
  settings = run.read(config)
  if settings.accumulate > 1:  # a loop, whose body would be counted once
    raise InputError(
      f'got config.accumulate = {settings.accumulate}, expected 1: a step is planned as one part; '
      'set it, and --per-chip to the examples of a part'
    )
  mesh = sharding.make_mesh(topology.devices, settings.mesh)
  per_chip = per_chip or _share(settings, mesh.size)
  stage = _stage(settings, sizes)
  batch = abstract_batch(settings, sizes, per_chip * mesh.size)
  like = programs.abstract_state(stage, batch, settings.seed, mesh, run.names(settings.copied))
  step = cast('Any', programs.train_step(stage, settings.seed, mesh, settings.mode, like))
  traced = step.trace(like, _placed(batch, mesh))
  written = flops.count(traced.jaxpr) / mesh.size
  plan = Plan(
    stage=settings.stage,
    topology=topology.name,
    chips=mesh.size,
    batch=per_chip,
    params=bytes_per_device(like.params),
    optimizer=bytes_per_device(like.opt_state),
    average=bytes_per_device(like.ema),
    memory=0,
    flops=written,
    moves=(),
    collectives={},
    sent=0.0,
    compile_seconds=0.0,
    chip=topology.chip,
    written=written,
  )
  return plan if count_only else _compiled(plan, traced)


def _compiled(plan: Plan, traced: Any) -> Plan:
  """Adds what the compiler knows. Raises TooLarge."""
  # Elsewhere than on a TPU its form stands for all accelerators': no layer is written for a CPU.
  lowered = traced.lower(lowering_platforms=('tpu',))
  begun = time.monotonic()
  try:
    compiled = lowered.compile()
  except jax.errors.JaxRuntimeError as error:
    if 'RESOURCE_EXHAUSTED' not in str(error):
      raise
    raise TooLarge(_needed(str(error))) from None
  seconds = time.monotonic() - begun
  memory, cost, text = compiled.memory_analysis(), compiled.cost_analysis(), compiled.as_text()
  found = hlo.collectives(text, plan.chips)
  return plan._replace(
    memory=memory.argument_size_in_bytes
    + memory.output_size_in_bytes
    - memory.alias_size_in_bytes
    + memory.temp_size_in_bytes
    + memory.generated_code_size_in_bytes,
    flops=cost.get('flops', 0.0),
    moves=traffic.moves(text),
    collectives=dict(Counter(c.kind for c in found)),
    sent=sum(c.sent for c in found),
    compile_seconds=seconds,
    loops=hlo.loops(text),
  )


class TooLarge(RuntimeError):
  """The compiler found no room; the message says what it needed."""


def largest(
  config: Mapping[str, Any], topology: Topology, sizes: Mapping[str, int], first: Plan
) -> int:
  """The most examples per chip that fit, to a tenth; 0 where `first` itself does not.

  Memory is taken as a line through the last two compilations; what it promises is compiled.
  """

  def memory(batch: int) -> float:
    try:
      return make(config, topology, sizes, batch).memory
    except TooLarge:
      return float('inf')

  room = first.chip.memory
  if first.memory > room:
    return 0
  fits, used, fails = first.batch, first.memory, _LARGEST
  batch = 2 * fits
  while fits < 0.9 * fails and batch < fails:
    needed = memory(batch)
    if needed > room:
      fails, batch = batch, (fits + batch) // 2
    else:
      each = max((needed - used) / (batch - fits), 1.0)
      fits, used = batch, needed
      batch = min(max(fits + int((room - needed) / each), fits + 1), (fits + fails + 1) // 2
                  if fails < _LARGEST else _LARGEST - 1)  # fmt: skip
  return fits


def abstract_batch(settings: Settings, sizes: Mapping[str, int], size: int) -> Any:
  """Shapes and dtypes of a batch as the records of these sizes would give it."""
  spec = STAGES[settings.stage]
  fields = {k: v for k, v in _model(settings, sizes).items() if k not in spec.critics}
  generator = spec.generator(**fields)
  frames = [settings.data.frames] if hasattr(settings.data, 'frames') else []
  one = jax.eval_shape(lambda: spec.blank(generator, *frames))
  return jax.tree.map(lambda x: jax.ShapeDtypeStruct((size, *x.shape[1:]), x.dtype), one)


def bytes_per_device(tree: Any) -> int:
  """Bytes on one device of arrays, or of their shapes, that have shardings."""
  return sum(
    jax.numpy.dtype(x.dtype).itemsize * _product(x.sharding.shard_shape(x.shape))
    for x in jax.tree.leaves(tree)
  )


def _product(shape: tuple[int, ...]) -> int:
  total = 1
  for n in shape:
    total *= n
  return total


def _stage(settings: Settings, sizes: Mapping[str, int]):
  if settings.loss.get('perceptual'):
    raise InputError('got loss.perceptual > 0, expected 0: VGG16 is not planned; set it to 0')
  return run.make_stage(settings, _model(settings, sizes))


def _model(settings: Settings, sizes: Mapping[str, int]) -> dict[str, Any]:
  return {**settings.model, **{name: sizes[name] for name in STAGES[settings.stage].sizes}}


def _share(settings: Settings, chips: int) -> int:
  size = settings.data.batch_size
  if size % chips:
    raise InputError(
      f'got config.data.batch_size = {size}, expected a multiple of the {chips} chips; set it, or '
      'give --per-chip'
    )
  return size // chips


def _placed(batch: Any, mesh: jax.sharding.Mesh) -> Any:
  place = sharding.over_data(mesh)
  return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), batch)


def _needed(message: str) -> str:
  """What was needed of what there is, out of the compiler's long message."""
  if found := re.search(r'Used \S+ of \S+ \w+', message):
    return found[0]
  if found := re.search(r'\((\S+)\) exceeds available \w+ \((\S+)\)', message):
    return f'{found[1]} of {found[2]}'
  return message.splitlines()[0][:200]
