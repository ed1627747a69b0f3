"""A window of a run in which JAX writes down what every device and thread does."""

import contextlib
import logging
from pathlib import Path
from typing import Any

import jax

_logger = logging.getLogger(__name__)


class Profile(contextlib.AbstractContextManager):
  """Traces steps `first`, `first + 1`, ... of a run, as many as `count`; 0 = none."""

  def __init__(self, directory: str | Path = '', first: int = 0, count: int = 0):
    """The trace goes to `directory`, in the form that XProf, TensorBoard and Perfetto read."""
    self._directory, self._first, self._end = str(directory), first, first + count
    self._tracing = False

  def __exit__(self, *error) -> None:
    self._stop()

  def before(self, step: int) -> None:
    """Tells that `step` is about to begin."""
    if self._first <= step < self._end and not self._tracing:
      options = jax.profiler.ProfileOptions()
      # Tracing Python's calls can kill a process whose threads come and go (seen once in JAX 0.10).
      options.python_tracer_level = 0
      jax.profiler.start_trace(self._directory, profiler_options=options)
      self._tracing = True

  def after(self, step: int, results: Any) -> None:
    """Tells that `step` was given to the devices; the last one of the window is waited for."""
    if self._tracing and step + 1 >= self._end:
      jax.block_until_ready(results)
      self._stop()

  def _stop(self) -> None:
    if self._tracing:
      self._tracing = False
      jax.profiler.stop_trace()
      _logger.warning('the profile is in %s', self._directory)
