"""Several processes that train as one: how they find each other, and notice that one is lost.

Each counts up in a file of its own in WORKDIR/processes/, which all of them see; so whose file
stands still is lost, whatever it died of, and no clock of another machine is asked.
"""

import contextlib
import ctypes
import glob
import importlib.util
import os
import socket
import sys
import threading
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import NamedTuple

import jax

from gmtalker_jax.core.errors import InputError

EXIT_LOST = 78
DIRECTORY = 'processes'
_DONE, _FAILED = 'done', 'failed'


def join(
  coordinator: str = '', index: int | None = None, count: int | None = None, seconds: int = 300
) -> bool:
  """Makes this process one of several, before JAX has touched a device; False where it is alone.

  Args:
    coordinator: HOST:PORT of process 0, index: of this process, count: of all of them. All three
      are given, or none: then a TPU VM, SLURM, Kubernetes or Open MPI says them.
    seconds: for all of them to start; then JAX ends this process without a word about who is
      missing.

  Raises:
    InputError: some are given and some are not, or they cannot be.
  """
  given = (bool(coordinator), index is not None, count is not None)
  if all(given):
    assert index is not None
    assert count is not None
    if not 0 <= index < count:
      raise InputError(
        f'got --process-id {index} of --processes {count}, expected 0 to {count - 1}'
      )
    _start(seconds, coordinator_address=coordinator, num_processes=count, process_id=index)
    return True
  if any(given):
    raise InputError(
      'got some of --coordinator, --process-id and --processes, expected all or none'
    )
  if cluster(os.environ):
    _start(seconds)
    return True
  return False


def cluster(environment: Mapping[str, str]) -> str:
  """What started this process as one of several; '' if nothing did. JAX reads the rest from it."""
  if int(environment.get('SLURM_NTASKS') or 1) > 1 and 'SLURM_PROCID' in environment:
    return 'SLURM'
  if 'KUBERNETES_SERVICE_HOST' in environment and 'JOB_COMPLETION_INDEX' in environment:
    return 'Kubernetes'
  if int(environment.get('OMPI_COMM_WORLD_SIZE') or 1) > 1:
    return 'Open MPI'
  device = glob.glob('/dev/accel*') or glob.glob('/dev/vfio/[0-9]*')
  libtpu = importlib.util.find_spec('libtpu') is not None
  if device and libtpu and environment.get('JAX_PLATFORMS', 'tpu').startswith('tpu'):
    return 'TPU VM'
  return ''


def join_in(
  workdir: str | Path, coordinator: str, index: int | None, count: int | None, seconds: float
) -> bool:
  """As `join`, but who does not start is named, by its missing sign in the workdir."""
  with Peers(workdir, seconds, *place(index, count, os.environ), arriving=True):
    return join(coordinator, index, count, int(seconds) + 15)  # JAX names nobody: it comes second


def place(index: int | None, count: int | None, environment: Mapping[str, str]) -> tuple[int, int]:
  """(index, count) of this process as far as they are known before it joins; else (0, 1)."""
  if index is not None and count is not None:
    return index, count
  for own, all_of_them in (
    ('SLURM_PROCID', 'SLURM_NTASKS'),
    ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE'),
  ):
    if own in environment and all_of_them in environment:
      return int(environment[own]), int(environment[all_of_them])
  return 0, 1


def _start(seconds: int, **arguments) -> None:
  try:
    # Peers says who is lost long before JAX, which only aborts.
    jax.distributed.initialize(
      heartbeat_timeout_seconds=600, initialization_timeout=seconds, **arguments
    )
  except (RuntimeError, ValueError) as error:
    reason = (str(error).splitlines() or [''])[0][:300]
    raise InputError(
      f'got no group of processes ({reason}), expected all of them to start within minutes and to '
      'reach the coordinator; see docs/pods.md'
    ) from None


class Peers(contextlib.AbstractContextManager):
  """Ends this process with EXIT_LOST, and says whom it waits for, once another one is lost."""

  def __init__(
    self, workdir: str | Path, seconds: float, index: int, count: int, arriving: bool = False
  ):
    """Process `index` of `count`; one that gives no sign for `seconds` is lost.

    `arriving`: the block is the start of the work, and its end is no sign that this one is done.
    """
    self._directory = Path(workdir) / DIRECTORY
    self._seconds, self._index = seconds, index
    self._others = [i for i in range(count) if i != index]
    self._over = threading.Event()
    self._thread: threading.Thread | None = None
    self._hold = contextlib.ExitStack()
    self._arriving = arriving

  def __enter__(self) -> 'Peers':
    if self._others:
      self._directory.mkdir(parents=True, exist_ok=True)
      self._write('0')
      self._thread = threading.Thread(target=self._watch, name='peers', daemon=True)
      self._thread.start()
      if not self._arriving:
        self._hold.enter_context(_abort_held(self._seconds + 3))
    return self

  def __exit__(self, kind, error, trace) -> None:
    if self._thread is None:
      return
    failed = error is not None and not isinstance(error, SystemExit)
    if failed and not isinstance(error, InputError):
      # A lost peer shows as an error of the collective first: the watch says whose fault it is.
      self._thread.join(self._seconds + 3)
    self._hold.close()
    self._over.set()
    self._thread.join()
    if failed or not self._arriving:
      self._write(_FAILED if failed else _DONE)

  def _watch(self) -> None:
    pause, count = min(self._seconds / 5, 2.0), 0
    first = {i: self._read(i) for i in self._others}  # an earlier run may have left it
    seen = {i: (said, time.monotonic()) for i, said in first.items()}
    while not self._over.wait(pause):
      count += 1
      self._write(str(count))
      for i in self._others:
        said = self._read(i)
        if said != seen[i][0]:
          seen[i] = said, time.monotonic()
        if said.state == _FAILED and said != first[i]:
          self._end(i, said.host, 'failed (its own message says why)')
        over = said.state == _DONE and said != first[i]
        if not over and time.monotonic() - seen[i][1] > self._seconds:
          self._end(i, said.host, f'gave no sign for {self._seconds:g} s')

  def _end(self, index: int, host: str, what: str) -> None:
    where = f' (on {host})' if host else ''
    try:
      sys.stderr.write(
        f'gmtalker: process {index}{where} {what}; process {self._index} ends too; start all of '
        'them again to go on\n'
      )
      sys.stderr.flush()
    finally:  # whoever read stderr may be gone too; a collective for the lost one never returns
      os._exit(EXIT_LOST)

  def _write(self, state: str) -> None:
    """Whole or not at all: the others read it at any moment."""
    part = self._directory / f'.{self._index}.part'
    with contextlib.suppress(OSError):  # a disk that hiccups is no loss of a process
      part.write_text(f'{state} {os.getpid()} {socket.gethostname()}')
      part.replace(self._directory / str(self._index))

  def _read(self, index: int) -> '_Said':
    try:
      return _Said(*(self._directory / str(index)).read_text().split(' ', 2))
    except (OSError, TypeError):
      return _Said('', '', '')


@contextlib.contextmanager
def _abort_held(seconds: float) -> Generator[None, None, None]:
  """Holds an abort of this process back for `seconds`, in which Peers says whose fault it is.

  Between CPUs the collectives are Gloo's, which once a peer is gone may throw in a thread of its
  own: nothing can catch that, and it would end the process with a message that names nobody.
  """
  try:
    install = ctypes.CDLL('libstdc++.so.6')['_ZSt13set_terminatePFvvE']  # std::set_terminate
  except (OSError, AttributeError):  # another C++ runtime: the abort comes at once
    yield
    return
  handler = ctypes.CFUNCTYPE(None)
  install.argtypes, install.restype = [handler], handler

  def hold() -> None:
    time.sleep(seconds)
    before()  # prints what was thrown, and aborts

  held = handler(hold)
  before = install(held)
  try:
    yield
  finally:
    install(before)


class _Said(NamedTuple):
  """What a process says of itself; empty where it has said nothing yet."""

  state: str  # a number that grows, or how it ended
  process: str  # its id on its machine
  host: str
