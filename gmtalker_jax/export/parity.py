"""Every layer of a network beside its twin: the same inputs through both, outputs compared."""

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import traverse_util

from gmtalker_jax.export import rules

_DROPOUT = re.compile(r'(^|\.)(drop|Dropout\.\d+)$')  # does nothing but in training
LIMIT = 1e-4  # of the largest difference, as a share of the largest value, in float32


class ParityError(Exception):
  """A twin does not compute what its original does; the message names the layer."""


class Layer(NamedTuple):
  """One layer beside its twin."""

  name: str  # of the twin
  shape: list[int]  # of the output, in our order of axes
  largest: float  # absolute difference
  relative: float  # that over the largest value
  limit: float

  @property
  def passed(self) -> bool:
    """Whether the two are the same, but for rounding; never where there is a NaN."""
    return self.relative <= self.limit


def inputs_of(stage: str, module: Any, frames: int = 10) -> list[np.ndarray]:
  """Inputs of `module.__call__` of the generator of a stage, two examples; one ends early."""
  rng = np.random.default_rng(0)

  def normal(*shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)

  if stage == 'portrait':
    size = module.input_size
    emotion = rng.dirichlet(np.ones(module.emotions), 2).astype(np.float32)
    rendering = np.tanh(normal(2, size, size, 3))
    return [rendering, emotion, normal(2, module.latent_dim), normal(2, module.style_dim)]
  mask = np.ones((2, frames), np.float32)
  mask[1, -3:] = 0
  rows = normal(2, 2 * frames, module.speech_dim)
  if stage == 'motion':
    return [normal(2, frames, module.motion_dim), rows, mask]
  return [normal(2, frames, module.expression_dim), rows, mask, np.array([0, -1], np.int32)]


def compare(
  name: str,
  module: Any,
  params: Mapping[str, Any],
  twin: torch.nn.Module,
  inputs: Sequence[np.ndarray],
  limit: float = LIMIT,
) -> list[Layer]:
  """Layers in the order in which the twin finishes them: the first that differs is to blame.

  Args:
    name: of the network, put before the names of its layers.
    module: of linen.
    params: its weights.
    twin: of PyTorch, with the same weights.
    inputs: of both. Pictures are [B, H, W, C]; the twin gets them as [B, C, H, W].
    limit: of the relative difference.

  Raises:
    ParityError: a layer has no twin, or another shape.
  """
  ours, theirs = _outputs(module, params, inputs), _twin_outputs(twin, inputs)
  alone = sorted(set(ours) - set(theirs))
  if alone:
    raise ParityError(f'{name}.{alone[0]} has no twin in PyTorch')
  return [
    _layer(f'{name}.{layer}' if layer else name, ours[layer], values, limit)
    for layer, values in theirs.items()
    if layer in ours
  ]


def _outputs(module, params, inputs) -> dict[str, list[np.ndarray]]:
  """What each linen layer returns, by the name of its twin; '' is the whole network."""

  seen = _runner(module)(params, *map(jnp.asarray, inputs))['intermediates']
  flat = traverse_util.flatten_dict(jax.device_get(seen), sep='/')
  named = {
    rules.module_name(path.removesuffix('__call__').removesuffix('/')): _arrays(value)
    for path, value in flat.items()
  }
  return {name: arrays for name, arrays in named.items() if not _DROPOUT.search(name)}


@functools.cache
def _runner(module):
  @jax.jit
  def run(params, *inputs):
    return module.apply({'params': params}, *inputs, capture_intermediates=True)[1]

  return run


def _twin_outputs(twin: torch.nn.Module, inputs) -> dict[str, list[np.ndarray]]:
  seen: dict[str, list[np.ndarray]] = {}

  def keep(name: str):
    return lambda _, __, value: seen.setdefault(name, []).extend(_arrays(value))

  twin.eval()
  hooks = [part.register_forward_hook(keep(name)) for name, part in twin.named_modules()]
  try:
    with torch.inference_mode():
      twin(*(torch.from_numpy(_channels_first(value)) for value in inputs))
  finally:
    for hook in hooks:
      hook.remove()
  return seen


def _channels_first(value: np.ndarray) -> np.ndarray:
  return np.ascontiguousarray(value.transpose(0, 3, 1, 2)) if value.ndim == 4 else value


def _arrays(value: Any) -> list[np.ndarray]:
  """The arrays in nested tuples; pictures of PyTorch in our order of axes."""
  if isinstance(value, (tuple, list)):
    return [array for part in value for array in _arrays(part)]
  if isinstance(value, torch.Tensor):
    array = value.numpy(force=True)
    return [array.transpose(0, 2, 3, 1) if array.ndim == 4 else array]
  return [np.asarray(value, np.float32)]


def _layer(name: str, ours, theirs, limit: float) -> Layer:
  # A DenseGeneral makes [B, K, Z], its twin [B, K Z]: the same numbers in the same order.
  theirs = [
    b.reshape(a.shape) if b.ndim == 2 and a.shape[0] == len(b) and a.size == b.size else b
    for a, b in zip(ours, theirs, strict=False)
  ]
  shapes = [[list(a.shape) for a in arrays] for arrays in (ours, theirs)]
  if shapes[0] != shapes[1]:
    raise ParityError(f'{name} makes {shapes[1]} in PyTorch, expected {shapes[0]}')
  gaps = [float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True)]
  shares = [gap / max(float(np.abs(a).max()), 1e-6) for gap, a in zip(gaps, ours, strict=True)]
  return Layer(name, shapes[0][0], max(gaps), max(shares), limit)
