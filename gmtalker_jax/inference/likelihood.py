"""What a talker's generators think of a recorded clip: how likely its motion is, and which emotion
its expression is (method 2.3, 3.2).
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax.core import distributions, rng
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.inference.talker import Generator, Talker


def motion_log_likelihood(
  talker: Talker,
  motion: np.ndarray,
  features: np.ndarray,
  samples: int = 64,
  seed: int = 0,
  sigma: float = 1.0,
) -> float:
  """A lower bound of log p(motion | speech) of a clip, in nats, for one draw of `samples`.

  The bound is that of importance weighting (Burda et al. 2016): the log of the mean of p(ρ, z') /
  q(z' | ρ) over draws from the encoder. Its expectation rises with `samples` to the likelihood.

  Args:
    talker: whose motion generator.
    motion: [T, M] in the units of schema.MOTION_NAMES, which the density is in, too: so talkers
      with other statistics can be compared.
    features: [2T, D] of the speech, as the talker hears it.
    samples: draws of z'.
    seed: of the draws.
    sigma: deviation of a frame given those before, in standard deviations of the coefficient; 1 is
      what the squared error of training stands for.

  Raises:
    InputError: motion and speech that do not fit together; a number out of range.
  """
  if samples < 1 or not 0 < sigma < np.inf:
    raise InputError(f'got samples {samples}, sigma {sigma}, expected at least 1 and more than 0')
  generator = talker.motion
  moments = generator.statistics.motion
  rows, mask = _heard(generator, features, motion, len(moments.mean))
  standard = moments.normalize(np.asarray(motion, np.float32))
  bound = _bound(
    generator.module, samples, generator.params, standard[None], rows[None], mask[None],
    rng.key_for(seed, 'likelihood'), jnp.float32(sigma),
  )  # fmt: skip
  return float(bound[0]) - len(motion) * float(np.log(moments.std).sum())


def responsibilities(talker: Talker, expression: np.ndarray, features: np.ndarray) -> np.ndarray:
  """p(e_k | clip) [K] in the order of schema.EMOTIONS, at the posterior means of z and w.

  Args:
    talker: whose expression generator.
    expression: [T, E] blendshape weights 0..1.
    features: [2T, D] of the speech, as the talker hears it.

  Raises:
    InputError: expression and speech that do not fit together.
  """
  generator = talker.expression
  moments = generator.statistics.expression
  rows, mask = _heard(generator, features, expression, len(moments.mean))
  standard = moments.normalize(np.asarray(expression, np.float32))
  found = _responsibilities(
    generator.module, generator.params, standard[None], rows[None], mask[None]
  )
  return np.asarray(found[0])


def _heard(
  generator: Generator, features: np.ndarray, clip: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
  """Standardised speech rows and a mask of ones."""
  frames, rate, heard = len(clip), schema.SPEECH_PER_FRAME, generator.module.speech_dim
  expected = ((frames, width), (rate * frames, heard))
  if not frames or (clip.shape, features.shape) != expected:
    raise InputError(
      f'got a clip {clip.shape} with speech {features.shape}, expected [T, {width}] and '
      f'[{rate}T, {heard}]; encode its sound as the talker hears it'
    )
  rows = generator.statistics.speech.normalize(np.asarray(features, np.float32))
  return rows, np.ones(frames, np.float32)


@partial(jax.jit, static_argnums=(0, 1))
def _bound(module: Any, samples: int, params, motion, speech, mask, key, sigma) -> jax.Array:
  def weight(key: jax.Array) -> jax.Array:
    inputs = (motion, speech, mask, key, sigma)
    return module.apply({'params': params}, *inputs, method='log_weight')

  weights = jax.lax.map(weight, jax.random.split(key, samples))
  return jax.nn.logsumexp(weights, axis=0) - jnp.log(samples)


@partial(jax.jit, static_argnums=0)
def _responsibilities(module: Any, params, expression, speech, mask) -> jax.Array:
  def of(generator) -> jax.Array:
    posterior = generator.encode(expression, speech, mask)
    components = generator.mixture(posterior.w.mean)
    return jnp.exp(distributions.log_responsibilities(posterior.z.mean, components))

  return nn.apply(of, module)({'params': params})
