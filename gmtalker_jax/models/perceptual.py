"""How different two pictures look: VGG16 features weighed by LPIPS (v0.1).

The weights are not ours: they come as an argument, read from a file by the caller.
"""

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp

# Convolutions of each block; a 2x2 maximum stands before every block but the first.
BLOCKS = (2, 2, 3, 3, 3)
WIDTHS = (64, 128, 256, 512, 512)
SHIFT = (-0.030, -0.088, -0.188)  # LPIPS's own standardisation of pictures in -1..1
SCALE = (0.458, 0.448, 0.450)

Weights = Mapping[str, Sequence[jax.Array]]


def check(weights: Weights) -> None:
  """Raises ValueError unless `weights` has VGG16's shapes.

  `kernel`: 13 arrays [3, 3, I, O]; `bias`: 13 arrays [O]; `head`: 5 arrays [C], all >= 0.
  """
  wanted, before = [], 3
  for layers, width in zip(BLOCKS, WIDTHS, strict=True):
    for _ in range(layers):
      wanted.append((3, 3, before, width))
      before = width
  found = [tuple(k.shape) for k in weights['kernel']]
  if found != wanted:
    raise ValueError(f'got kernels {found}, expected those of VGG16, pass the right file')
  if [b.shape for b in weights['bias']] != [(w[-1],) for w in wanted]:
    raise ValueError('got other biases than those of VGG16, pass the right file')
  if [h.shape for h in weights['head']] != [(w,) for w in WIDTHS]:
    raise ValueError('got other heads than those of LPIPS for VGG16, pass the right file')


def distance(
  weights: Weights,
  image: jax.Array,
  truth: jax.Array,
  features: Callable[[Weights, jax.Array], list[jax.Array]] | None = None,
) -> jax.Array:
  """Returns LPIPS [B] of two pictures [B, H, W, 3] in -1..1, by the `features` of VGG16 or others.

  At the end of each block the features are scaled to unit length at each pixel; the squared
  difference is weighed by channel, averaged over pixels and summed over the blocks.
  """
  features = features or vgg16
  pairs = zip(features(weights, image), features(weights, truth), strict=True)
  terms = [
    (jnp.square(_unit(a) - _unit(b)) @ head).mean((1, 2))
    for head, (a, b) in zip(weights['head'], pairs, strict=True)
  ]
  return sum(terms[1:], terms[0])


def standardised(image: jax.Array) -> jax.Array:
  """Pictures in -1..1 as the networks expect them."""
  return (image - jnp.asarray(SHIFT)[None, None, None]) / jnp.asarray(SCALE)[None, None, None]


def vgg16(weights: Weights, image: jax.Array) -> list[jax.Array]:
  """Returns VGG16's activations at the end of its five blocks, [B, H / 2^i, W / 2^i, C_i]."""
  x = standardised(image)
  layers = zip(weights['kernel'], weights['bias'], strict=True)
  out = []
  for i, count in enumerate(BLOCKS):
    if i:
      b, h, w, c = x.shape
      blocks = x[:, : h // 2 * 2, : w // 2 * 2].reshape(b, h // 2, 2, w // 2, 2, c)
      x = blocks.max((2, 4))
    for _ in range(count):
      kernel, bias = next(layers)
      x = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
      )
      x = jax.nn.relu(x + bias[None, None, None])
    out.append(x)
  return out


def _unit(x: jax.Array) -> jax.Array:
  # The small number is inside the root: the gradient at a dark pixel, where all is 0, is finite.
  return x * jax.lax.rsqrt(jnp.square(x).sum(-1, keepdims=True) + 1e-10)
