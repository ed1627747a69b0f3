"""The steps of a coupling flow over sequences: affine coupling, then flip (method 3.1)."""

from collections.abc import Callable, Sequence

import chex
import distrax
import jax
import jax.numpy as jnp

# conditioner([..., L, C2]) -> (log_scale, shift), each [..., L, C1]
Conditioner = Callable[[jax.Array], tuple[jax.Array, jax.Array]]


def coupling_flow(
  conditioners: Sequence[Conditioner], channels: int, mask: jax.Array
) -> distrax.Bijector:
  """N steps of coupling and flip: z [B, L, C] -> z' [B, L, C], with the log-determinant [B].

  z1' = z1 * exp(s(z2)) + t(z2), z2' = z2, then the channels are flipped. Positions where `mask`
  [B, L] is 0 are only flipped and add nothing to the log-determinant. No conditioner: the identity.
  """
  # Chain applies its last element first: within a step the coupling, then the flip.
  steps = []
  for conditioner in reversed(conditioners):
    steps += [Flip(), _coupling(conditioner, channels, mask)]
  return distrax.Chain(steps or [Flip(), Flip()])


class Flip(distrax.Bijector):
  """Reverses the channels of [..., L, C]; it is its own inverse and keeps volume."""

  def __init__(self):
    super().__init__(event_ndims_in=2, is_constant_jacobian=True)

  def forward_and_log_det(self, x: chex.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the flipped channels and zero."""
    x = jnp.asarray(x)
    return x[..., ::-1], jnp.zeros(x.shape[:-2], x.dtype)

  def inverse_and_log_det(self, y: chex.Array) -> tuple[jax.Array, jax.Array]:
    """The same as forward."""
    return self.forward_and_log_det(y)

  def same_as(self, other: distrax.Bijector) -> bool:
    """True for any other flip."""
    return isinstance(other, Flip)


def _coupling(conditioner: Conditioner, channels: int, mask: jax.Array) -> distrax.Bijector:
  def masked(unchanged: chex.Array) -> tuple[jax.Array, jax.Array]:
    log_scale, shift = conditioner(jnp.asarray(unchanged))
    return log_scale * mask[..., None], shift * mask[..., None]

  # swap=True: the second half stays as it is and conditions the first, as the paper draws it.
  return distrax.SplitCoupling(
    split_index=channels // 2,
    event_ndims=2,
    conditioner=masked,
    bijector=lambda params: distrax.ScalarAffine(shift=params[1], log_scale=params[0]),
    swap=True,
  )
