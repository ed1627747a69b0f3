"""What a training run leaves on disk, and how inference reads it back.

WORKDIR/config.json        the config and what was derived from the data (`About`)
WORKDIR/statistics.json    moments of the training records
WORKDIR/init_from.json     what was loaded of config.init_from, and what was not
WORKDIR/metrics.jsonl      one line per report; tensorboard/ holds the same
WORKDIR/sessions.jsonl     one line per start, for `gmtalker goodput`
WORKDIR/checkpoints/STEP/  state, inference, data, about, statistics, digests
WORKDIR/final.json         the metrics at the end
"""

import contextlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import statistics as statistics_lib
from gmtalker_jax.face.person import Person
from gmtalker_jax.io import files, people, steps, writers

CHECKPOINTS = 'checkpoints'
INIT_FROM = 'init_from.json'
_logger = logging.getLogger(__name__)


class About(NamedTuple):
  """Everything besides weights and statistics that one must know to use a trained stage."""

  stage: str  # 'expression' | 'motion' | 'portrait'
  model: dict[str, Any]  # keyword arguments of the generator module, with all sizes
  config: dict[str, Any]  # the config of the run
  subjects: tuple[str, ...]  # training people; a subject's index is its place here
  emotions: tuple[str, ...]  # component k of a mixture is emotion k
  layout: str  # a key of schema.LAYOUTS
  speech_encoder: str  # see speech/__init__.py
  subject: str = ''  # portrait: the person it shows
  # portrait: what the rendering knows of that person, in the form of io.people; without texture and
  # light (as workdirs of version 0.2) it is a plain one.
  identity: list[float] | None = None
  texture: str | None = None
  light: list[Any] | None = None
  eyes: list[list[float]] | None = None
  bust: dict[str, Any] | None = None
  displacement: str | None = None
  iris: float | None = None
  # portrait: where the latents lie that it has learnt from, see inference/latents.py; none where it
  # takes no latent, and in workdirs of before 2026-11-27
  latents: list[list[float]] | None = None
  head: str = 'builtin'  # portrait: whose renderings it has learnt from, see heads.name


class Inference(NamedTuple):
  """A trained stage, ready to be served."""

  step: int
  params: dict[str, Any]  # served networks (moving averages): {'generator': ...} of NumPy arrays
  statistics: statistics_lib.Statistics
  about: About

  @property
  def stage(self) -> str:
    """The name of the stage."""
    return self.about.stage

  @property
  def model(self) -> dict[str, Any]:
    """Keyword arguments of the generator module."""
    return self.about.model

  @property
  def config(self) -> dict[str, Any]:
    """The config of the run."""
    return self.about.config

  @property
  def person(self) -> Person:
    """The person of a portrait stage."""
    return people.from_json(self.about._asdict())


def read_inference(workdir: str | Path, step: int | None = None) -> Inference:
  """Reads the served weights of a step (None: the newest whole one) and all that belongs to them.

  Raises:
    InputError: nothing was trained there, or no step (not that one) is whole.
  """
  directory = Path(workdir).absolute() / CHECKPOINTS  # orbax takes no other
  found = steps.find(directory)
  if not found:
    raise InputError(
      f'got {str(workdir)!r} without a checkpoint, expected the --workdir of `gmtalker train`'
    )
  if step is not None and step not in found:
    raise InputError(f'got step {step} of {workdir}, expected one of {found}')
  for candidate in found if step is None else [step]:
    try:
      return _read(directory, candidate)
    except Exception as error:
      reason = f'{type(error).__name__}: {error}'.splitlines()[0]
      _logger.warning('checkpoint %d is not used: %s', candidate, reason)
  raise InputError(
    f'got only damaged checkpoints in {directory} (last reason: {reason}), expected a whole one'
  )


def write_json(path: str | Path, value: Mapping[str, Any]) -> None:
  """Writes JSON in one rename; only the first process does."""
  if jax.process_index() == 0:
    files.write_json(path, value)


def read_config(workdir: str | Path) -> dict[str, Any]:
  """The config that a work directory was begun with. Raises InputError where there is none."""
  path = Path(workdir) / 'config.json'
  try:
    return json.loads(path.read_text())['config']
  except (OSError, ValueError, KeyError, TypeError) as error:
    with contextlib.suppress(Exception):  # every step has it too
      directory = path.parent / CHECKPOINTS
      return steps.read_document(directory / str(steps.find(directory)[0]), 'about')['config']
    raise InputError(
      f'got checkpoints in {workdir} without a readable config.json ({type(error).__name__}), '
      'expected both; copy it back from where the run began'
    ) from None


def last_known_step(workdir: str | Path) -> int:
  """The newest step that was in a checkpoint, by the metrics; 0 if they know of none."""
  with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
    return int(json.loads((Path(workdir) / 'final.json').read_text())['step'])
  rows = writers.read_metrics(workdir)
  saved = [int(row['step']) for row in rows if 'checkpoint/seconds' in row]
  return max(saved, default=0)


def about_from_json(values: Mapping[str, Any]) -> About:
  """The inverse of `about._asdict()` through JSON."""
  about = About(**values)
  return about._replace(subjects=tuple(about.subjects), emotions=tuple(about.emotions))


def _read(directory: Path, step: int) -> Inference:
  path = directory / str(step)
  steps.verify(path, ('inference', 'about', 'statistics'))
  return Inference(
    step=step,
    params=steps.read_arrays(path, 'inference'),
    statistics=statistics_lib.from_json(steps.read_document(path, 'statistics')),
    about=about_from_json(steps.read_document(path, 'about')),
  )
