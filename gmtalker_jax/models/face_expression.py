"""FaceExpressionNet: which of seven emotions a face shows. A judge that nothing is trained on.

Four blocks of four 3x3 convolutions (all but the very first depthwise-separable), each adding up
what came before it, then a mean and a linear layer. The weights are not ours (MIT, npm package
@vladmandic/face-api): they come as an argument, read by `io.emotion_judges`.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

SIZE = 112  # pixels of a face
CLASSES = ('neutral', 'happy', 'sad', 'angry', 'fear', 'disgusted', 'surprised')
_WIDTHS = (32, 64, 128, 256)  # of the blocks; each halves the picture
_LAYERS = 4
_MEAN = (122.782, 117.001, 104.298)  # red, green, blue

Weights = Mapping[str, jax.Array]


def shapes() -> dict[str, tuple[int, ...]]:
  """The shape of every weight by its name in the manifest."""
  found: dict[str, tuple[int, ...]] = {}
  before = 3
  for block, width in enumerate(_WIDTHS):
    for layer in range(_LAYERS):
      name = f'dense{block}/conv{layer}'
      if block == layer == 0:
        found[f'{name}/filters'] = (3, 3, before, width)
      else:
        found[f'{name}/depthwise_filter'] = (3, 3, before, 1)
        found[f'{name}/pointwise_filter'] = (1, 1, before, width)
      found[f'{name}/bias'] = (width,)
      before = width
  return found | {'fc/weights': (before, len(CLASSES)), 'fc/bias': (len(CLASSES),)}


def probabilities(weights: Weights, faces: jax.Array) -> jax.Array:
  """Faces [B, 112, 112, 3], RGB in 0..255 -> [B, 7] in the order of CLASSES."""
  x = (faces - jnp.asarray(_MEAN)[None, None, None]) / 255
  for block in range(len(_WIDTHS)):
    total = jax.nn.relu(_layer(weights, f'dense{block}/conv0', x, stride=2))
    for layer in range(1, _LAYERS):
      total = total + _layer(weights, f'dense{block}/conv{layer}', jax.nn.relu(total))
    x = jax.nn.relu(total)
  return jax.nn.softmax(x.mean((1, 2)) @ weights['fc/weights'] + weights['fc/bias'][None])


def _layer(weights: Weights, name: str, x: jax.Array, stride: int = 1) -> jax.Array:
  """A 3x3 convolution with its bias; depthwise and then pointwise where the weights are."""
  if f'{name}/filters' in weights:
    x = _convolve(x, weights[f'{name}/filters'], stride)
  else:
    x = _depthwise(x, weights[f'{name}/depthwise_filter'][..., 0], stride)
    x = _convolve(x, weights[f'{name}/pointwise_filter'], 1)
  return x + weights[f'{name}/bias'][None, None, None]


def _convolve(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
  return jax.lax.conv_general_dilated(
    x, kernel, (stride, stride), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )


def _depthwise(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
  """A kernel [3, 3, C], each channel by itself: nine sums, on a CPU faster than XLA's groups."""
  size, before = x.shape[1], 1 if stride == 1 else 0  # 'SAME' for even sizes
  padded = jnp.pad(x, ((0, 0), (before, 1), (before, 1), (0, 0)))
  total = jnp.zeros((), x.dtype)
  for i, j in np.ndindex(3, 3):
    part = padded[:, i : i + size : stride, j : j + size : stride]
    total = total + part * kernel[i, j][None, None, None]
  return total
