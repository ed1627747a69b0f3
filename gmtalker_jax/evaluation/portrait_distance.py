"""How different two portraits look: LPIPS with AlexNet, which no network here was trained on."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax.core.arrays import to_signed
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import perceptual
from gmtalker_jax.models import alexnet
from gmtalker_jax.models.perceptual import distance


def is_there() -> bool:
  """Whether the weights are installed."""
  try:
    return perceptual.packaged('alexnet').is_file()
  except InputError:
    return False


def lpips(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
  """LPIPS [N] (AlexNet, v0.1) of uint8 pictures [N, H, W, 3]."""
  measure = _measure()
  pairs = zip(predicted, truth, strict=True)
  return np.array([float(measure(to_signed(a)[None], to_signed(b)[None])[0]) for a, b in pairs])


@functools.cache
def _measure():
  weights = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), perceptual.load_alexnet())
  return jax.jit(lambda a, b: distance(weights, a, b, alexnet.features))
