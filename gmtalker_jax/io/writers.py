"""Metrics on disk: one JSON line per report, and for TensorBoard where that is installed."""

import json
import logging
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import jax

from gmtalker_jax.io import files

_logger = logging.getLogger(__name__)

METRICS = 'metrics.jsonl'
SESSIONS = 'sessions.jsonl'  # a line for each time that the run was begun or went on
FAULTS = 'faults'  # STEP.json and STEP.npz of steps that were not applied; STEP.process-I.npz too


class Writer:
  """Appends metrics of a run, in the first process. A context manager."""

  def __init__(self, workdir: str | Path, step: int = 0, began: float | None = None):
    """Opens the files of a run that goes on after `step`: later rows are dropped.

    `began` is the time at which this process began with it, for the diary of sessions.
    """
    self._lines: TextIO | None = None
    self._events: Any = None
    self._workdir = Path(workdir)
    if jax.process_index() != 0:
      return
    self._workdir.mkdir(parents=True, exist_ok=True)
    dropped = _drop_after(self._workdir / METRICS, step)
    _note_session(self._workdir, step, began or time.time(), dropped)
    self._lines = (self._workdir / METRICS).open('a')
    self._events = _tensorboard(self._workdir / 'tensorboard', step)

  def __enter__(self) -> 'Writer':
    return self

  def __exit__(self, *error) -> None:
    self.close()

  def write(self, step: int, metrics: Mapping[str, float]) -> None:
    """Writes one report; names such as 'train/generator/loss' make groups."""
    if self._lines is None:
      return
    row = {'step': step, 'time': round(time.time(), 3), **metrics}
    try:
      self._lines.write(json.dumps(row) + '\n')
      self._lines.flush()
    except OSError as error:  # a full disk: the run is worth more than its diary
      _logger.warning('the metrics of step %d are not written: %s', step, error.strerror or error)
      return
    for name, value in metrics.items() if self._events else ():
      self._events.add_scalar(name, value, step)

  def fault(self, step: int, document: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Keeps what is known of a step that was not applied in WORKDIR/faults/.

    Each process writes the arrays that it has: its rows of the batch, its parts of the state.
    """
    folder, index = self._workdir / FAULTS, jax.process_index()
    folder.mkdir(parents=True, exist_ok=True)
    if index == 0:
      files.write_json(folder / f'{step}.json', document)
    if arrays:
      files.write_arrays(folder / f'{step}{f".process-{index}" if index else ""}.npz', arrays)

  def close(self) -> None:
    """Flushes and closes."""
    if self._lines is not None:
      self._lines.close()
      self._lines = None
    if self._events is not None:
      self._events.close()
      self._events = None


def read_metrics(workdir: str | Path) -> list[dict[str, float]]:
  """All reports of a run in order. A line that a crash cut short is left out, with a warning."""
  path = Path(workdir) / METRICS
  return _rows(path) if path.is_file() else []


def read_sessions(workdir: str | Path) -> list[dict[str, float]]:
  """Each time that a run was begun or went on, in order: all in seconds since 1970.

  began, opened: when its process began with it, and when it was ready for the first step;
  step: that it went on after; dropped: time of the last report of the session before whose steps
  had to be made again, 0 if none had.
  """
  path = Path(workdir) / SESSIONS
  return _rows(path) if path.is_file() else []


def last_metrics(workdir: str | Path) -> dict[str, float]:
  """The newest value of every metric of a run."""
  found: dict[str, float] = {}
  for row in read_metrics(workdir):
    found |= row
  return {name: value for name, value in found.items() if name not in ('step', 'time')}


def _tensorboard(folder: Path, step: int) -> Any:
  """Event files that go on after `step`; None, and a word about it, without the extra."""
  try:
    from tensorboardX import SummaryWriter
  except ModuleNotFoundError:
    sys.stderr.write(
      f"{folder} is not written; for it, run: pip install 'gmtalker_jax[tensorboard]'\n"
    )
    return None
  return SummaryWriter(str(folder), purge_step=step + 1)


def _rows(path: Path) -> list[dict[str, float]]:
  rows = []
  for line in path.read_text().splitlines():
    try:
      rows.append(json.loads(line))
    except ValueError:
      warnings.warn(f'{path} has a line that was cut short: {line[:60]!r}', stacklevel=2)
  return rows


def _drop_after(path: Path, step: int) -> list[dict[str, float]]:
  """Drops the rows of steps after `step`, and returns them."""
  if not path.is_file():
    return []
  with warnings.catch_warnings(action='ignore'):  # a cut line is dropped like the later ones
    rows = _rows(path)
  kept = [row for row in rows if row['step'] <= step]
  files.write_text(path, ''.join(json.dumps(row) + '\n' for row in kept))
  return [row for row in rows if row['step'] > step]


def _note_session(workdir: Path, step: int, began: float, dropped: list[dict[str, float]]) -> None:
  last = dropped[-1]['time'] if dropped else 0.0
  row = {'began': round(began, 3), 'opened': round(time.time(), 3), 'step': step, 'dropped': last}
  try:
    with (workdir / SESSIONS).open('a') as file:
      file.write(json.dumps(row) + '\n')
  except OSError as error:
    _logger.warning('the start is not noted: %s', error.strerror or error)
