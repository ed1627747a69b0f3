"""z_gm that a painter is trained with: all that it can be given when somebody speaks.

A clip's own latent is known only of clips that were recorded. When somebody speaks, the latent is
drawn from the mixture at the emotion of the moment, at any temperature down to 0 (the mean of the
mixture). A painter that never saw such a latent answers with a grid over the face.
"""

from typing import NamedTuple

import numpy as np

_DRAWS = 4096  # mixtures in a table: so many manners w


class Normal(NamedTuple):
  """q(z | clip), or the components of a mixture."""

  mean: np.ndarray  # [..., Z]
  deviation: np.ndarray  # [..., Z]


class Mixtures(NamedTuple):
  """p(z | w, k) for many w ~ N(0, I): [N, K, Z] of each (method 2.3)."""

  components: Normal

  def draw(self, emotion: np.ndarray, temperature: float, rng: np.random.Generator) -> np.ndarray:
    """z [Z] at emotion weights [K], as `inference.speak` draws it (method 2.7): Σ e_k z^k."""
    mean, deviation = self.components
    manner = rng.integers(len(mean))
    noise = temperature * rng.standard_normal(mean.shape[-1])
    return (emotion @ (mean[manner] + noise * deviation[manner])).astype(np.float32)


def draw(
  posterior: Normal,
  mixtures: Mixtures | None,
  emotion: np.ndarray,
  posterior_share: float,
  highest: float,
  rng: np.random.Generator,
) -> np.ndarray:
  """z [Z] of one example, at a temperature from U(0, highest).

  Args:
    posterior: of the clip [Z].
    mixtures: what speech draws from; None where the painter takes no latent: then the mean of
      `posterior` is returned.
    emotion: [K] weights of the example.
    posterior_share: of the examples that get the clip's own latent; the rest gets the mixture's.
    highest: temperature; 0 = the mean of the posterior or of the mixture.
    rng: all that is random.
  """
  if mixtures is None:
    return posterior.mean
  temperature = highest * rng.uniform()
  if rng.uniform() < posterior_share:
    noise = temperature * rng.standard_normal(posterior.mean.shape)
    return (posterior.mean + noise * posterior.deviation).astype(np.float32)
  return mixtures.draw(emotion, temperature, rng)


def manners(w_dim: int, rng: np.random.Generator, count: int = _DRAWS) -> np.ndarray:
  """w [count, w_dim] ~ N(0, I), for a table of mixtures."""
  return rng.standard_normal((count, w_dim)).astype(np.float32)
