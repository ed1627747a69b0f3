"""Machines that are not there: their devices, for compiling, and what they can do."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax.experimental import topologies

from gmtalker_jax.core.errors import InputError, check_choice


class Chip(NamedTuple):
  """What a maker says of a chip."""

  memory: float  # bytes that a program may use
  flops: float  # per second, bfloat16 without sparsity
  bandwidth: float  # bytes per second from its memory
  link: float  # bytes per second to its neighbours, all links together, one direction


# Flops, bandwidth and half of the links' "bidirectional bandwidth per chip": the tables of
# https://docs.cloud.google.com/tpu/docs/ v5e, v5p-training and v6e, read on 2026-11-26 (older
# versions of the last page say 1640e9 and 448e9). Memory: what the compiler for each chip says is
# available when a program is too large; the tables say 16, 95 and 32 GB.
CHIPS = {
  'v5e': Chip(15.75 * 2**30, 197e12, 819e9, 200e9),
  'v5p': Chip(95.74 * 2**30, 459e12, 2_765e9, 600e9),
  'v6e': Chip(31.25 * 2**30, 918e12, 1_600e9, 400e9),
}
# By `jax.Device.device_kind`. Of GPUs the makers' data sheets, where "with sparsity" is halved.
_FLOPS = {
  'TPU v5 lite': CHIPS['v5e'].flops,
  'TPU v5': CHIPS['v5p'].flops,
  'TPU v6 lite': CHIPS['v6e'].flops,
  'NVIDIA H100 80GB HBM3': 989.4e12,
  'NVIDIA H200': 989.4e12,
  'NVIDIA A100-SXM4-80GB': 312e12,
  'NVIDIA A100-SXM4-40GB': 312e12,
}
_TPU = re.compile(r'\d+(x\d+){1,2}')
_ADVICE = 'e.g. v5e:16x16, v5p:4x4x4 or gpu:8,memory=80e9,flops=989e12,bandwidth=3.35e12,link=450e9'


class Topology(NamedTuple):
  """Devices to compile for."""

  name: str
  chip: Chip
  devices: Sequence[jax.Device]
  exact: bool  # False: compiled by the CPU's compiler, which stands in


def peak(kind: str) -> float:
  """Flops per second of a `device_kind` in bfloat16; 0 if its maker was not asked."""
  return _FLOPS.get(kind, 0.0)


def parse(name: str) -> tuple[str, Chip, int]:
  """(kind, chip, devices) of `v5e:16x16` or of `gpu:N,memory=...`. Raises InputError."""
  kind, _, shape = name.partition(':')
  check_choice('the topology', kind, (*CHIPS, 'gpu'))
  if kind != 'gpu':
    if not _TPU.fullmatch(shape):
      raise InputError(f'got the topology {name!r}, expected chips along each side, {_ADVICE}')
    return kind, CHIPS[kind], int(np.prod([int(n) for n in shape.split('x')]))
  count, *numbers = shape.split(',')
  try:
    chip = Chip(**{key: float(value) for key, value in (n.split('=') for n in numbers)})
    return kind, chip, int(count)
  except (TypeError, ValueError):
    raise InputError(f'got the topology {name!r}, expected all numbers, {_ADVICE}') from None


def find(name: str, stand_in: bool = False) -> Topology:
  """The devices of a topology.

  Those of a TPU come from its compiler (libtpu, the extra `plan`); for GPUs, and with `stand_in`
  for all, devices of this CPU stand in, of which there must be enough.

  Raises:
    InputError: no such topology, or its compiler cannot be loaded.
  """
  kind, chip, count = parse(name)
  if kind == 'gpu' or stand_in:
    found = jax.devices('cpu')
    if len(found) < count:
      raise InputError(f'got {len(found)} devices to stand in for {name!r}, expected {count}')
    return Topology(name, chip, found[:count], exact=False)
  try:
    devices = topologies.get_topology_desc(platform='tpu', topology_name=name).devices
  except Exception as error:  # libtpu raises whatever it wants
    reason = (str(error).splitlines() or [''])[0][:200]
    raise InputError(
      f'got no TPU compiler for {name!r} ({type(error).__name__}: {reason}), expected libtpu and a '
      "topology that it knows; run: pip install 'gmtalker_jax[plan]'"
    ) from None
  return Topology(name, chip, devices, exact=True)
