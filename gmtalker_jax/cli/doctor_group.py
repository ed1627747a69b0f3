"""Whether processes can train as one: each looks around, all compare, and who differs is named.

What they saw goes through the coordinator, which answers where a collective would hang: that is one
of the things that are tried.
"""

import collections
import hashlib
import importlib.metadata
import json
import os
import platform
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gmtalker_jax.cli import sweep_plan, train
from gmtalker_jax.core.errors import InputError

_PACKAGES = ('jax', 'jaxlib', 'numpy', 'flax', 'optax', 'orbax-checkpoint', 'grain')
_ARRIVE = 30.0  # seconds for all to start
_ANSWER = 20.0  # seconds to look around
_SUM = 15.0  # seconds for the collective
_CLOCKS = 30.0  # seconds between two clocks: leases and time limits go wrong with more
_FAULT = 'fault: '
_MINE = ('host', 'clock')  # of these each may have another
Fault = tuple[int, str, str]  # whose (-1: of all together), in what, why
Seen = dict[str, str]  # what was looked at -> what was seen, or _FAULT and why not


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker doctor --distributed`: 0 all fine, 1 somebody is at fault, 78 one is missing."""
  together, flags = train.read_processes(argv)
  config, workdir = train.read_flags(flags)
  from gmtalker_jax.train import processes

  group = together.coordinator, together.process_id, together.processes
  try:
    processes.join_in(workdir, *group, _ARRIVE)
  except OSError:  # it cannot write the workdir, which the report will say
    processes.join(*group, seconds=int(_ARRIVE))
  return _examine(config, workdir)


def _examine(config: Any, workdir: str) -> int:
  import jax

  from gmtalker_jax.core import sharding
  from gmtalker_jax.train import run

  index, count = jax.process_index(), jax.process_count()
  board = _Board(index, count)
  reports = board.share('seen', look(config, workdir, index))
  wrote = [i for i, report in reports.items() if not _is_fault(report['workdir'])]
  for i, said in board.share('signs', {'missing': _missing_signs(workdir, wrote)}).items():
    if said['missing'] and i in wrote:
      reports[i]['workdir'] = said['missing']
  faults = compare(reports, count)
  whole = len(reports) == count
  sums = board.share('sum', {'collective': _sum()}) if whole else {}
  faults += compare(sums, count) if whole else []
  total, size = jax.device_count(), config.data.batch_size
  try:
    sharding.make_mesh(shape=config.mesh)
    run.check_batch(run.read(config), total)
  except InputError as error:
    faults.append((-1, 'mesh', str(error)))
  if index == 0:
    _print(reports, sums, faults, f'{size} examples over {total} devices')
  else:
    for who, what, reason in faults:
      if who == index:
        print(f'gmtalker: {what}: {reason}', file=sys.stderr)
  sys.stdout.flush()
  if not whole or any(what == 'collective' for _, what, _ in faults):
    os._exit(1)  # a goodbye would wait for whoever is missing or stuck
  return int(bool(faults))


def look(config: Any, workdir: str, index: int) -> Seen:
  """What this process has and sees. Never raises."""
  values = config.to_dict()
  values['data'] = {**values['data'], 'records': ''}  # where they lie is each host's own business
  digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]
  versions = [f'{name} {importlib.metadata.version(name)}' for name in _PACKAGES]
  return {
    'host': socket.gethostname(),
    'versions': f'python {platform.python_version()}, {", ".join(versions)}',
    'code': sweep_plan.code_digest()[:12],
    'config': digest,
    'devices': _try(_devices),
    'records': _try(lambda: _records(config.data.records)),
    'workdir': _try(lambda: _write(workdir, index)),
    'clock': f'{time.time():.1f}',
  }


def compare(reports: Mapping[int, Seen], count: int) -> list[Fault]:
  """Who is at fault, in what, and why: what it lacks, or in what it differs from most others.

  Where as many say one thing as another, the first process is right.
  """
  faults = [(i, 'processes', 'gave no report') for i in range(count) if i not in reports]
  names = list(next(iter(reports.values()), {}))
  for name in names:
    seen = {i: report[name] for i, report in sorted(reports.items())}
    faults += [(i, name, text.removeprefix(_FAULT)) for i, text in seen.items() if _is_fault(text)]
    fine = {i: text for i, text in seen.items() if not _is_fault(text)}
    if name == 'clock' and fine:
      middle = sorted(float(text) for text in fine.values())[len(fine) // 2]
      faults += [
        (i, name, f'is {float(text) - middle:+.0f} s from the others')
        for i, text in fine.items()
        if abs(float(text) - middle) > _CLOCKS
      ]
    elif name not in _MINE and fine:
      usual = collections.Counter(fine.values()).most_common(1)[0][0]
      faults += [
        (i, name, f'got {text}, expected {usual} as in the others')
        for i, text in fine.items()
        if text != usual
      ]
  return faults


class _Board:
  """What each process has said, by way of the coordinator."""

  def __init__(self, index: int, count: int):
    self._index, self._count = index, count

  def share(self, name: str, said: Seen) -> dict[int, Seen]:
    """Says something, and waits for what the others say; who says nothing is left out."""
    if self._count == 1:
      return {0: said}
    from jax._src import distributed  # the public part has no way to say anything

    client = distributed.global_state.client
    assert client is not None
    client.key_value_set(f'doctor/{name}/{self._index}', json.dumps(said))
    found, deadline = {}, time.monotonic() + _ANSWER
    for i in range(self._count):
      left = max(int(1e3 * (deadline - time.monotonic())), 100)
      try:
        found[i] = json.loads(client.blocking_key_value_get(f'doctor/{name}/{i}', left))
      except Exception as error:  # whatever JAX makes of a time that is up
        if 'DEADLINE' not in str(error) and 'deadline' not in str(error):
          raise
    return found


def _is_fault(text: str) -> bool:
  return text.startswith(_FAULT)


def _try(check: Callable[[], str]) -> str:
  try:
    return check()
  except InputError as error:
    return f'{_FAULT}{error}'
  except OSError as error:
    return f'{_FAULT}{error.strerror or error} {str(error.filename or "")!r}'
  except Exception as error:  # whatever is broken is the answer
    return f'{_FAULT}{" ".join(repr(error).split())[:300]}'


def _devices() -> str:
  import jax

  found = jax.local_devices()
  return f'{len(found)} x {found[0].device_kind}'


def _records(directory: str) -> str:
  """Sizes of all files and the manifest; not every byte: that is what a training does first."""
  from gmtalker_jax.data import source

  found = [source.open_records(directory, split, verify=False) for split in ('train', 'test')]
  return f'{len(found[0])} + {len(found[1])} clips {"-".join(f.fingerprint for f in found)}'


def _sign(workdir: str, index: int) -> Path:
  from gmtalker_jax.train import processes

  return Path(workdir) / processes.DIRECTORY / f'doctor-{index}'


def _write(workdir: str, index: int) -> str:
  path = _sign(workdir, index)
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(os.urandom(1 << 20))
  path.write_text(socket.gethostname())
  return 'can be written'


def _missing_signs(workdir: str, wrote: Sequence[int]) -> str:
  """'' if this process finds what the others wrote; their disk may show it late."""
  deadline = time.monotonic() + 5
  while missing := [i for i in wrote if not _sign(workdir, i).is_file()]:
    if time.monotonic() > deadline:
      return f'{_FAULT}no file of process {missing[0]} is seen there: it is another disk'
    time.sleep(0.2)
  return ''


def _sum() -> str:
  """A sum over all devices, in a thread of its own: it may never return."""
  said: list[str] = []
  thread = threading.Thread(target=lambda: said.append(_try(_add_ones)), daemon=True)
  thread.start()
  thread.join(_SUM)
  return said[0] if said else f'{_FAULT}no sum over all devices within {_SUM:g} s'


def _add_ones() -> str:
  import jax
  import numpy as np

  from gmtalker_jax.core import sharding

  mesh = sharding.make_mesh()
  total = jax.jit(lambda x: x.sum(), out_shardings=sharding.replicated(mesh))
  ones = sharding.place_batch(np.ones(jax.local_device_count(), np.float32), mesh)
  got, expected = float(total(ones)), jax.device_count()
  if got != expected:
    raise InputError(f'got {got:g} as the sum over all devices, expected {expected}')
  return f'a sum over {expected} devices is right'


def _print(
  reports: Mapping[int, Seen], sums: Mapping[int, Seen], faults: Sequence[Fault], mesh: str
) -> None:
  hosts = {report['host'] for report in reports.values()}
  print(f'ok       {"processes":12} {len(reports)} on {len(hosts)} host(s)')
  shown = {**reports[0], **sums.get(0, {}), 'mesh': mesh}
  wrong = {what for _, what, _ in faults}
  for name, text in shown.items():
    if name not in (*_MINE, *wrong):
      print(f'ok       {name:12} {text}')
  for who, what, reason in faults:
    host = f' ({reports[who]["host"]})' if who in reports else ''
    print(f'FAULT    {what:12} ' + (f'process {who}{host}: ' if who >= 0 else '') + reason)
  print('all fine' if not faults else f'{len(faults)} faults; see docs/pods.md')
