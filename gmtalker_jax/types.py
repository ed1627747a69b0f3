"""Structs that cross rooms. They hold arrays, know nothing, and do nothing.

Letters: B batch · T video frames (25 Hz) · D speech features · E expression coefficients ·
M motion coefficients · K emotions · Z latent · H W pixels · C channels.
"""

from collections.abc import Mapping
from typing import Any

import jax
from flax import struct

Params = Mapping[str, Any]


@struct.dataclass
class State:
  """All that training knows. `params` and `opt_state` have one entry per network."""

  step: jax.Array  # int32 scalar: steps done
  params: Params
  opt_state: Mapping[str, Any]
  ema: Params  # moving averages of the networks that are served
  stats: Mapping[str, Any]  # running statistics of the phases


@struct.dataclass
class Coefficients:
  """A face in motion. The arrays may carry leading batch axes."""

  expression: jax.Array  # [..., T, E] blendshape weights, 0..1
  motion: jax.Array  # [..., T, M] see data/schema.py for the layout
  sway: jax.Array | None = None  # [..., T, 8] of the shoulders; None = they follow the head


@struct.dataclass
class ExpressionBatch:
  """Windows for the expression generator (GMEG). Coefficients and speech are standardised."""

  expression: jax.Array  # [B, T, E]
  speech: jax.Array  # [B, 2T, D]
  emotion: jax.Array  # [B, K] weights on the simplex, never all zero
  labelled: jax.Array  # [B] 1 = `emotion` is a label, 0 = it was drawn (data/emotion.py)
  subject: jax.Array  # [B] int32, index of the training person
  mask: jax.Array  # [B, T] 1 = a real frame


@struct.dataclass
class MotionBatch:
  """Windows for the motion generator (NFMG). Coefficients and speech are standardised."""

  motion: jax.Array  # [B, T, M]
  speech: jax.Array  # [B, 2T, D]
  mask: jax.Array  # [B, T] 1 = a real frame


@struct.dataclass
class PortraitBatch:
  """Single frames of one person for the portrait generator."""

  rendering: jax.Array  # [B, h, w, 3] the 3D face, -1..1
  image: jax.Array  # [B, H, W, 3] the photograph, -1..1
  emotion: jax.Array  # [B, K] weights on the simplex, never all zero
  latent: jax.Array  # [B, Z] z_gm of the clip that the frame comes from
  mask: jax.Array  # [B] 1 = a real example
