"""z_gm of a recorded clip: what the expression generator's encoder makes of it (method 2.6)."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from gmtalker_jax import speech
from gmtalker_jax.core import trees
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import latent, schema, windows
from gmtalker_jax.data.latent import Mixtures, Normal
from gmtalker_jax.inference import talker as talkers
from gmtalker_jax.inference.talker import Generator, generator_of
from gmtalker_jax.io import workdir as workdirs

_APART = 0.5  # of their size: centres of two seeds differ by 1.4, of a tuned generator by 0.01
_BUCKET = 64  # frames; lengths are rounded up to it: few shapes, few compilations


class Encoder:
  """Record -> z_gm [Z], the posterior mean of z; and the laws that z is drawn from."""

  def __init__(self, generator: Generator, speech_encoder: str):
    """`generator` is a talker's `expression`, which hears through `speech_encoder`."""
    self._generator, self._speech_encoder = generator, speech_encoder

  @classmethod
  def of(cls, place: str) -> 'Encoder':
    """Of a trained expression stage, or of a talker: its directory or 'builtin'.

    Raises InputError where neither is.
    """
    if (Path(place) / workdirs.CHECKPOINTS).is_dir():
      trained = workdirs.read_inference(place)
      return cls(generator_of('expression', trained, place), trained.about.speech_encoder)
    talker = talkers.load(place)
    return cls(talker.expression, talker.speech_encoder)

  @property
  def latent_dim(self) -> int:
    """Z."""
    return self._generator.module.latent_dim

  @property
  def digest(self) -> str:
    """Changes whenever the latents do: it is of the weights and the statistics."""
    tree = {'params': self._generator.params, 'statistics': self._generator.statistics}
    return trees.digest(tree)

  def centres(self) -> np.ndarray:
    """Where each emotion lies [emotions, Z] in the mean manner (w = 0): tells latents apart."""
    return self._components(np.zeros((1, self._generator.module.w_dim), np.float32)).mean[0]

  def __call__(self, record: Mapping[str, Any]) -> np.ndarray:
    """The mean of `posterior`."""
    return self.posterior(record).mean

  def posterior(self, record: Mapping[str, Any]) -> Normal:
    """q(z | clip) [Z]. Raises InputError if its speech features are of another encoder."""
    generator, heard = self._generator, record['speech_encoder']
    if not speech.same(heard, self._speech_encoder):
      raise InputError(
        f'got record {record["id"]!r} with speech features of {heard}, expected '
        f'{self._speech_encoder} as the expression generator; prepare the records alike'
      )
    window = windows.expression(
      record,
      np.random.default_rng(0),
      frames=-(-len(record['expression']) // _BUCKET) * _BUCKET,
      statistics=generator.statistics,
      subjects=(),
    )
    batch = [x[None] for x in (window.expression, window.speech, window.mask)]
    z = _encode(generator.module)(generator.params, *batch)
    return Normal(np.asarray(z.mean)[0], np.exp(0.5 * np.asarray(z.log_variance)[0]))

  def mixtures(self, seed: int = 0) -> Mixtures:
    """What `speak` draws z from, for many manners w: [N, emotions, Z], whatever K is."""
    w = latent.manners(self._generator.module.w_dim, np.random.default_rng(seed))
    return Mixtures(self._components(w))

  def _components(self, w: np.ndarray) -> Normal:
    """Manners [N, w_dim] -> the law of each emotion [N, emotions, Z]."""
    module = self._generator.module
    z = module.apply({'params': self._generator.params}, w, method='mixture')
    component = np.asarray(module.simplex(np.eye(len(schema.EMOTIONS)))).argmax(-1)
    deviation = np.exp(0.5 * np.asarray(z.log_variance))
    return Normal(np.asarray(z.mean)[:, component], deviation[:, component])


def are_alike(known: np.ndarray, found: np.ndarray) -> bool:
  """Whether `Encoder.centres` of two generators are of one space, rounded or tuned, not anew."""
  if known.shape != found.shape:
    return False
  return float(np.linalg.norm(found - known)) < _APART * float(np.linalg.norm(known))


@functools.cache
def _encode(module):
  @jax.jit
  def encode(params, expression, speech, mask):
    return module.apply({'params': params}, expression, speech, mask, method='encode').z

  return encode
