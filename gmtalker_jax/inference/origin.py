"""Weights that a training begins with: those of a talker, or of a work directory."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from gmtalker_jax.core import trees
from gmtalker_jax.data.statistics import Statistics
from gmtalker_jax.inference import talker as talkers
from gmtalker_jax.io import workdir as workdirs
from gmtalker_jax.types import Params


class Origin(NamedTuple):
  """A trained generator."""

  module: Any  # the linen module
  params: Params
  statistics: Statistics | None  # what its inputs and outputs are standardised with

  @property
  def digest(self) -> str:
    """Changes with any weight or moment."""
    return trees.digest({'params': self.params, 'statistics': self.statistics})


def load(path: str, stage: str) -> Origin:
  """Reads the generator of a stage.

  Args:
    path: a work directory of that stage, a talker directory, or 'builtin'.
    stage: its name.

  Raises:
    InputError: neither of these, damaged, or of another stage.
  """
  if os.path.isdir(Path(path) / workdirs.CHECKPOINTS):
    return Origin(*talkers.generator_of(stage, workdirs.read_inference(path), path))
  part = getattr(talkers.load(path), stage)
  return Origin(part.module, part.params, getattr(part, 'statistics', None))
