"""Programs that a machine traces once: a fresh process takes them from the disk and begins sooner.

XLA keeps what it compiled, but before a process can ask it for that, each network has been traced
and lowered in Python, which takes longer than all the rest. So what that makes (StableHLO, some
100 kB, by jax.export) is kept too, in the folder `traces` of JAX's compilation cache. Where JAX has
no such cache, nothing is kept.
"""

import functools
import hashlib
import logging
import os
import threading
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
from jax import export

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import files

_logger = logging.getLogger(__name__)
_PACKAGES = 'jax', 'jaxlib', 'flax', 'distrax'  # what a trace depends on beside our own source
_SETTINGS = 'jax_enable_x64', 'jax_default_matmul_precision', 'jax_threefry_partitionable'
_CACHE = 'jax_enable_compilation_cache', 'jax_compilation_cache_dir'
_SEAL = 32  # bytes of SHA-256 before the program


def kept(function: Callable[..., Any], name: str) -> Callable[..., Any]:
  """`jax.jit(function)` whose traces outlive the process.

  Args:
    function: of arrays and trees of them, by position; returns arrays in tuples, lists, dicts. It
      is looked for by `name` and the source of this package, not by what it closes over.
    name: says all that the program depends on beside its arguments, such as the repr of a module.
  """
  compiled = jax.jit(function)
  programs: dict[Any, Callable[..., Any]] = {}
  lock = threading.Lock()  # of two threads that come at once, one traces

  def call(*arguments: Any) -> Any:
    enabled, cache = (getattr(jax.config, name) for name in _CACHE)
    if not enabled or not cache:
      return compiled(*arguments)
    leaves, tree = jax.tree.flatten(arguments)
    types = tuple(map(jax.typeof, leaves))
    with lock:
      if (tree, types) not in programs:
        path = Path(cache) / 'traces' / _digest(name, tree, types)
        programs[tree, types] = _read(path) or _make(path, compiled, tree, types)
    return programs[tree, types](*leaves)

  return call


def _make(path: Path, compiled: Any, tree: Any, types: Any) -> Callable[..., Any]:
  """Traces `compiled` for the leaves of its arguments, and keeps that at `path`."""
  flat = jax.jit(lambda *leaves: compiled(*jax.tree.unflatten(tree, leaves)))
  exported = export.export(flat)(*types)
  program = bytes(exported.serialize())
  try:
    files.write_bytes(path, hashlib.sha256(program).digest() + program)
  except InputError as error:  # a full disk is no reason not to speak
    _logger.info('a traced program is not kept: %s', error)
  return jax.jit(exported.call)


def _read(path: Path) -> Callable[..., Any] | None:
  """The program at `path`; None where there is none, or a damaged one, which is then replaced."""
  try:
    found = path.read_bytes()
  except OSError:
    return None
  seal, program = found[:_SEAL], found[_SEAL:]
  if hashlib.sha256(program).digest() != seal:
    return None
  return jax.jit(export.deserialize(bytearray(program)).call)


def _digest(name: str, tree: Any, types: Any) -> str:
  """Changes with all that a trace depends on."""
  settings = [getattr(jax.config, name) for name in _SETTINGS]
  whole = name, str(tree), types, jax.default_backend(), settings, _source()
  return hashlib.sha256(repr(whole).encode()).hexdigest()[:32]


@functools.cache
def _source() -> str:
  """Of this package's source and of the libraries that trace it."""
  found = hashlib.sha256(repr([metadata.version(package) for package in _PACKAGES]).encode())
  root = Path(__file__).parents[1]
  for path in sorted(root.rglob('*.py')):
    found.update(os.fsencode(path.relative_to(root)) + b'\0' + path.read_bytes())
  return found.hexdigest()
