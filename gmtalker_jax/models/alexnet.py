"""AlexNet's features, for LPIPS as it is usually reported: a judge that nothing is trained on.

As in `models.perceptual`, whose `distance` takes `features` from here, the weights are an argument.
"""

import jax
import jax.numpy as jnp

from gmtalker_jax.models import perceptual
from gmtalker_jax.models.perceptual import Weights

KERNELS = ((11, 11, 3, 64), (5, 5, 64, 192), (3, 3, 192, 384), (3, 3, 384, 256), (3, 3, 256, 256))
_STRIDES, _PADDING = (4, 1, 1, 1, 1), (2, 2, 1, 1, 1)
_POOLED = (1, 2)  # a 3x3 maximum of stride 2 stands before these


def check(weights: Weights) -> None:
  """Raises ValueError unless `weights` has AlexNet's shapes; keys as in `perceptual.check`."""
  found = [tuple(k.shape) for k in weights['kernel']]
  if found != list(KERNELS):
    raise ValueError(f'got kernels {found}, expected those of AlexNet, pass the right file')
  widths = [(kernel[-1],) for kernel in KERNELS]
  if [b.shape for b in weights['bias']] != widths or [h.shape for h in weights['head']] != widths:
    raise ValueError('got other biases or heads than those of LPIPS for AlexNet')


def features(weights: Weights, image: jax.Array) -> list[jax.Array]:
  """Activations [B, h, w, C] after each of the five convolutions of pictures in -1..1."""
  x, out = perceptual.standardised(image), []
  for i, (kernel, bias) in enumerate(zip(weights['kernel'], weights['bias'], strict=True)):
    if i in _POOLED:
      x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), 'VALID')
    pad = (_PADDING[i], _PADDING[i])
    x = jax.lax.conv_general_dilated(
      x, kernel, (_STRIDES[i],) * 2, (pad, pad), dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )
    x = jax.nn.relu(x + bias[None, None, None])
    out.append(x)
  return out
