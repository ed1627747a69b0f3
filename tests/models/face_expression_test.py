"""FaceExpressionNet on random weights, against sums that are written out."""

import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax.models import face_expression


def _weights():
  rng = np.random.default_rng(0)

  def draw(shape):
    inputs = 9 if shape[-1] == 1 else np.prod(shape[:-1])  # a depthwise kernel sees one channel
    return (rng.normal(size=shape) * 0.6 * np.sqrt(2 / inputs)).astype(np.float32)

  return {
    name: draw(shape) if len(shape) > 1 else np.full(shape, 0.1, np.float32)
    for name, shape in face_expression.shapes().items()
  }


def _convolved(x, stride, weigh):
  """Sums over the 3x3 neighbours of every `stride`th pixel, zeros around; one more at the end."""
  size = x.shape[0]
  before = 1 if stride == 1 else 0
  padded = np.pad(x, ((before, 1), (before, 1), (0, 0)))
  taps = [(i, j) for i in range(3) for j in range(3)]
  return sum(
    weigh(padded[i : i + size : stride, j : j + size : stride], i, j) for i, j in taps
  )  # fmt: skip


def _layer(weights, name, x, stride):
  if f'{name}/filters' in weights:
    x = _convolved(x, stride, lambda part, i, j: part @ weights[f'{name}/filters'][i, j])
  else:
    each = weights[f'{name}/depthwise_filter']
    x = _convolved(x, stride, lambda part, i, j: part * each[i, j, :, 0])
    x = x @ weights[f'{name}/pointwise_filter'][0, 0]
  return x + weights[f'{name}/bias']


def _written_out(weights, face):
  x = (face - np.array([122.782, 117.001, 104.298])) / 255
  for block in range(4):
    outs = [np.maximum(_layer(weights, f'dense{block}/conv0', x, 2), 0)]
    for layer in (1, 2, 3):
      outs.append(_layer(weights, f'dense{block}/conv{layer}', np.maximum(sum(outs), 0), 1))
    x = np.maximum(sum(outs), 0)
  logits = x.mean((0, 1)) @ weights['fc/weights'] + weights['fc/bias']
  powers = np.exp(logits - logits.max())
  return powers / powers.sum()


def test_probabilities_are_those_of_written_out_sums():
  weights = _weights()
  faces = np.random.default_rng(1).integers(0, 256, (2, 112, 112, 3)).astype(np.float32)
  faces[1] = np.linspace(0, 255, 112)[:, None, None]
  found = jax.jit(face_expression.probabilities)(weights, jnp.asarray(faces))
  want = np.stack([_written_out(weights, face.astype(np.float64)) for face in faces])
  assert found.shape == (2, len(face_expression.CLASSES))
  assert np.abs(want[0] - want[1]).max() > 0.01  # the weights do tell these apart
  np.testing.assert_allclose(found, want, atol=1e-4)
