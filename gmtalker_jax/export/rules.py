"""How a weight of ours is named and turned in PyTorch. Only order and names change, never a bit.

linen                         PyTorch
blocks_0/attention/query      blocks.0.attention.query      lists and dictionaries of layers
kernel [I, O]                 weight [O, I]                 Dense
kernel [I, K, Z]              weight [K Z, I]               DenseGeneral; its bias [K, Z] -> [K Z]
scale, embedding              weight                        LayerNorm, Embed
weight [I, O]                 weight [O, I]                 equalised layers (models/style.py)
weight [k, k, I, O]           weight [O, I, k, k]
anything else                 the same
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from gmtalker_jax.core.errors import InputError

Arrays = dict[str, np.ndarray]
_LEAVES = {'kernel': 'weight', 'scale': 'weight', 'embedding': 'weight'}
_NUMBER = re.compile(r'_(\d+)(?=_|$)')


def module_name(path: str) -> str:
  """The twin of the layer at `path`: 'encoder/blocks_0' -> 'encoder.blocks.0'."""
  return '.'.join(_NUMBER.sub(r'.\1', part) for part in path.split('/'))


def tensor_name(path: str) -> str:
  """The twin of the weight at `path`: 'head/kernel' -> 'head.weight'."""
  layer, _, leaf = path.rpartition('/')
  leaf = _LEAVES.get(leaf, leaf)
  return f'{module_name(layer)}.{leaf}' if layer else leaf


def to_torch(params: Mapping[str, np.ndarray]) -> Arrays:
  """Weights by linen path 'a/b/kernel' to a state dictionary of NumPy arrays."""
  return {
    tensor_name(path): np.asarray(_turn(path, np.asarray(value), params), order='C')
    for path, value in params.items()
  }


def from_torch(state: Mapping[str, np.ndarray], like: Mapping[str, Any]) -> Arrays:
  """The inverse of `to_torch`, for the linen weights `like` (anything with a shape).

  Raises:
    InputError: a weight is missing, unknown, or of another shape.
  """
  names = {path: tensor_name(path) for path in like}
  unknown = sorted(state.keys() - set(names.values()))
  missing = sorted(set(names.values()) - state.keys())
  if unknown or missing:
    raise InputError(
      f'got weights that do not fit ({len(missing)} missing: {", ".join(missing[:3])}; '
      f'{len(unknown)} unknown: {", ".join(unknown[:3])}), expected those of the config'
    )
  return {path: _turn_back(path, np.asarray(state[name]), like) for path, name in names.items()}


def _turn(path: str, value: np.ndarray, params: Mapping[str, Any]) -> np.ndarray:
  match path.rpartition('/')[2], value.ndim:
    case (('kernel' | 'weight'), 2):
      return value.T
    case 'kernel', 3:
      return value.reshape(len(value), -1).T
    case 'weight', 4:
      return value.transpose(3, 2, 0, 1)
    case 'bias', 2 if _general(path, params):
      return value.reshape(-1)
  return value


def _turn_back(path: str, value: np.ndarray, like: Mapping[str, Any]) -> np.ndarray:
  shape = tuple(like[path].shape)
  wanted = _turn(path, np.broadcast_to(np.float32(0), shape), like).shape
  if value.shape != wanted:
    raise InputError(
      f'got {tensor_name(path)} of the shape {list(value.shape)}, expected {list(wanted)}; the '
      'weights are of another network'
    )
  match path.rpartition('/')[2], len(shape):
    case (('kernel' | 'weight'), 2):
      return value.T
    case 'kernel', 3:
      return value.T.reshape(shape)
    case 'weight', 4:
      return value.transpose(2, 3, 1, 0)
  return value.reshape(shape)


def _general(path: str, params: Mapping[str, Any]) -> bool:
  """Whether this bias is that of a DenseGeneral."""
  kernel = params.get(f'{path.rpartition("/")[0]}/kernel')
  return kernel is not None and len(kernel.shape) == 3
