"""Published weights of HuBERT (or wav2vec 2) into our network; they are not ours, nor shipped."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import traverse_util

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import bundles, carriers, torch_files
from gmtalker_jax.models.hubert import Hubert
from gmtalker_jax.types import Params

SUFFIXES = ('.safetensors', '.bin', '.pt')
HEAD = 64  # width of a head in every published size
_PREFIX = re.compile(r'^(hubert|wav2vec2)\.')
# In files, and not of use here: what predicts letters, and what masks while training.
_LEFT = re.compile(
  r'^(lm_head|masked_spec_embed|project_hid|project_q|quantizer|classifier|projector)'
)
_LAYERS = {  # of theirs -> of ours
  'feature_projection.layer_norm': 'feature_norm',
  'feature_projection.projection': 'projection',
  'encoder.layer_norm': 'norm',
  'encoder.pos_conv_embed.conv': 'position',
}
_BLOCK = {
  'attention.q_proj': 'query',
  'attention.k_proj': 'key',
  'attention.v_proj': 'value',
  'attention.out_proj': 'out',
  'layer_norm': 'attention_norm',
  'feed_forward.intermediate_dense': 'expand',
  'feed_forward.output_dense': 'contract',
  'final_layer_norm': 'feed_norm',
}


def find(name: str) -> Path:
  """The file of weights of 'hubert-base' or 'hubert-large' among the carriers.

  Raises InputError where there is none.
  """
  places = [carriers.folder() / f'{name}{suffix}' for suffix in SUFFIXES]
  for place in places:
    if place.is_file():
      return place
  raise InputError(
    f'got speech encoder {name!r} without its weights, expected the published file as '
    f'{places[0]} (or .bin, .pt); it is in no package, copy it there'
  )


def load(path: str | os.PathLike) -> tuple[Hubert, Params]:
  """Reads weights in the layout of `transformers`: safetensors, or a file of torch.save.

  Raises:
    InputError: no such file, more than numbers in it, or weights of another network.
  """
  path = Path(path)
  found = bundles.read_tensors(path) if path.suffix == '.safetensors' else torch_files.read(path)
  try:
    weights = {
      _PREFIX.sub('', str(name)): np.asarray(value, np.float32)
      for name, value in found.items()
      if not _LEFT.match(_PREFIX.sub('', str(name)))
    }
    module, params = _network(weights)
  except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
    reason = f'{type(error).__name__}: {error}'.splitlines()[0][:120]
    raise InputError(
      f'got {str(path)!r} whose weights are not those of HuBERT ({reason}), expected a published '
      'file of it'
    ) from None
  return module, params


def _network(weights: dict[str, np.ndarray]) -> tuple[Hubert, Params]:
  large = 'feature_extractor.conv_layers.1.layer_norm.weight' in weights
  _undo_weight_norm(weights)
  width, channels = weights['feature_projection.projection.weight'].shape
  position = weights['encoder.pos_conv_embed.conv.weight']
  depth = len({name.split('.')[2] for name in weights if name.startswith('encoder.layers.')})
  module = Hubert(
    width=width,
    depth=depth,
    heads=width // HEAD,
    inner=len(weights['encoder.layers.0.feed_forward.intermediate_dense.weight']),
    channels=channels,
    large=large,
    biased='feature_extractor.conv_layers.0.conv.bias' in weights,
    position_kernel=position.shape[2],
    position_groups=width // position.shape[1],
  )
  flat = {_name(name, large): _turned(name, value) for name, value in weights.items()}
  _check(module, flat)
  return module, traverse_util.unflatten_dict(flat, sep='/')


def _undo_weight_norm(weights: dict[str, np.ndarray]) -> None:
  """The position's weight is kept as a direction and a length for each of its taps."""
  conv = 'encoder.pos_conv_embed.conv'
  for length, direction in (
    ('weight_g', 'weight_v'),
    ('parametrizations.weight.original0', 'parametrizations.weight.original1'),
  ):
    if f'{conv}.{direction}' in weights:
      v, g = weights.pop(f'{conv}.{direction}'), weights.pop(f'{conv}.{length}')
      norm = np.sqrt(np.square(v, dtype=np.float64).sum((0, 1), keepdims=True))
      weights[f'{conv}.weight'] = (v * (g / norm)).astype(np.float32)


def _name(name: str, large: bool) -> str:
  layer, _, leaf = name.rpartition('.')
  if match := re.fullmatch(r'feature_extractor\.conv_layers\.(\d)\.(conv|layer_norm)', layer):
    if match[2] == 'layer_norm' and not large:
      return {'weight': 'clip_scale', 'bias': 'clip_bias'}[leaf]
    ours = f'{"convolutions" if match[2] == "conv" else "convolution_norms"}_{match[1]}'
  elif match := re.fullmatch(r'encoder\.layers\.(\d+)\.(.+)', layer):
    ours = f'blocks_{match[1]}/{_BLOCK[match[2]]}'
  else:
    ours = _LAYERS[layer]
  normal = layer.endswith('layer_norm')
  return f'{ours}/{leaf if leaf == "bias" else "scale" if normal else "kernel"}'


def _turned(name: str, value: np.ndarray) -> np.ndarray:
  return np.asarray(value.T, order='C') if name.endswith('.weight') and value.ndim > 1 else value


def _check(module: Hubert, flat: Mapping[str, Any]) -> None:
  wave = jax.ShapeDtypeStruct((1, 800), np.float32)
  expected = jax.eval_shape(module.init, jax.random.key(0), wave)['params']
  like = traverse_util.flatten_dict(expected, sep='/')
  if like.keys() != flat.keys():
    raise ValueError(f'{sorted(like.keys() ^ flat.keys())[0]} is missing or unknown')
  for name, leaf in like.items():
    if flat[name].shape != leaf.shape or not np.isfinite(flat[name]).all():
      raise ValueError(f'{name} is {flat[name].shape}, not {leaf.shape}, or not finite')
