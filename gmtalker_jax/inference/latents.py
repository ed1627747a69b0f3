"""z_gm of a recorded clip: what the expression generator's encoder makes of it (method 2.6)."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from gmtalker_jax.core import trees
from gmtalker_jax.data import windows
from gmtalker_jax.inference.talker import Generator, generator_of_workdir

_BUCKET = 64  # frames; lengths are rounded up to it: few shapes, few compilations


class Encoder:
  """Record -> z_gm [Z], the posterior mean of z."""

  def __init__(self, generator: Generator):
    """`generator` is a talker's `expression`."""
    self._generator = generator

  @classmethod
  def of_workdir(cls, workdir: str) -> 'Encoder':
    """Raises InputError where no expression stage was trained."""
    return cls(generator_of_workdir('expression', workdir))

  @property
  def latent_dim(self) -> int:
    """Z."""
    return self._generator.module.latent_dim

  @property
  def digest(self) -> str:
    """Changes whenever the latents do: it is of the weights and the statistics."""
    tree = {'params': self._generator.params, 'statistics': self._generator.statistics}
    return trees.digest(tree)

  def __call__(self, record: Mapping[str, Any]) -> np.ndarray:
    """Encodes a whole clip."""
    generator = self._generator
    window = windows.expression(
      record,
      np.random.default_rng(0),
      frames=-(-len(record['expression']) // _BUCKET) * _BUCKET,
      statistics=generator.statistics,
      subjects=(),
    )
    batch = [x[None] for x in (window.expression, window.speech, window.mask)]
    return np.asarray(_encode(generator.module)(generator.params, *batch))[0]


@functools.cache
def _encode(module):
  @jax.jit
  def encode(params, expression, speech, mask):
    return module.apply({'params': params}, expression, speech, mask, method='posterior_mean')

  return encode
