"""The public StyleUNet (StyleAvatar's layout of keys) into our portrait generator.

A training file of it holds state dictionaries under `g_ema`, `g` and `d`; the moving average is
taken where there is one. In its order of layers from_rgbs, cond_convs and comb_convs go down from a
quarter (an eighth) of the input's size, convs (two for each size) and to_rgbs go up from 16. Its
mapping network is left behind: emotion mapping takes its place and begins anew. So does the critic.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from flax import traverse_util

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.export import rules
from gmtalker_jax.inference.talker import Painter, Talker
from gmtalker_jax.io import torch_files
from gmtalker_jax.models.portrait import PortraitGenerator
from gmtalker_jax.stages import STAGES

_STYLE_DIM = 64
# Filters that are constants here, and what emotion mapping takes the place of.
_LEFT = re.compile(r'(^|\.)(kernel|ll|lh|hl|hh)$|^mapping\.')


class Public(NamedTuple):
  """The weights of StyleUNet in the names of our twin (`gmtalker_torch/portrait.py`)."""

  input_size: int
  output_size: int
  state: rules.Arrays
  averaged: bool  # of the moving average


def read(path: str) -> Public:
  """Reads a training file of the public StyleUNet, or the state dictionary of one.

  Raises:
    InputError: no such file, more than weights in it, or weights of another network.
  """
  found = torch_files.read(path)
  found = found if isinstance(found, Mapping) else {}
  averaged = 'g_ema' in found
  weights = found.get('g_ema', found.get('g', found))
  weights = weights if isinstance(weights, Mapping) else {}
  own = {
    str(name): np.asarray(value, np.float32)
    for name, value in weights.items()
    if isinstance(value, np.ndarray) and not _LEFT.search(str(name))
  }
  levels, rises = (_count(own, name) for name in ('cond_convs', 'to_rgbs'))
  if not levels or not rises:
    raise InputError(
      f'got {path!r} without the layers cond_convs and to_rgbs, expected the weights of the public '
      'StyleUNet under g_ema or g'
    )
  state = {_name(name, levels, path): _value(value) for name, value in own.items()}
  return Public(8 << levels + 2, 16 << rises, state, averaged)


def portrait(public: Public, latent_dim: int, seed: int = 0) -> Painter:
  """A portrait generator with these weights; emotion mapping begins anew.

  Raises InputError: weights that are missing or of other shapes.
  """
  module = PortraitGenerator(
    public.input_size, public.output_size, style_dim=_STYLE_DIM, latent_dim=latent_dim
  )
  spec = STAGES['portrait']
  like = traverse_util.flatten_dict(dict(spec.abstract_params(module)), sep='/')
  unet = {path: leaf for path, leaf in like.items() if path.startswith('unet/')}
  state = {f'unet.{name}': value for name, value in public.state.items()}
  taken = rules.from_torch(state, unet)
  numbers = np.random.default_rng(seed)
  flat = {}
  for path, leaf in like.items():  # as its initialisers do: weights N(0, 1), biases 0
    new = numbers.standard_normal(leaf.shape) if path.endswith('weight') else np.zeros(leaf.shape)
    flat[path] = np.asarray(taken.get(path, new), np.float32, order='C')
  return Painter(module, traverse_util.unflatten_dict(flat, sep='/'), 'builtin')  # knows none


def into(talker: Talker, public: Public) -> Talker:
  """The talker with this painter, which still has to be trained on the talker's person."""
  return talker._replace(portrait=portrait(public, talker.expression.module.latent_dim))


def _count(weights: Mapping[str, Any], name: str) -> int:
  numbers = {key.split('.')[1] for key in weights if key.startswith(f'{name}.')}
  return (
    len(numbers) if numbers == {str(i) for i in range(len(numbers))} and len(numbers) < 8 else 0
  )


def _name(name: str, levels: int, path: str) -> str:
  """convs.3.conv.modulation.weight -> decode.32.1.conv.modulation.weight, and so on."""
  kind, _, rest = name.partition('.')
  number, _, rest = rest.partition('.')
  i = int(number) if number.isdecimal() else -1
  down, up = 8 << max(levels - 1 - i, 0), 16 << max(i, 0)
  match kind, rest:
    case 'from_rgbs', 'conv.0.weight' | 'conv.0.bias':
      return f'from_rgb.{2 * down}.conv.{rest[7:]}'
    case 'cond_convs', 'conv1.0.weight' | 'conv1.0.bias':
      return f'encode.{down}.conv.{rest[8:]}'
    case 'cond_convs', 'conv2.1.weight' | 'conv2.1.bias':
      return f'encode.{down}.conv_down.{rest[8:]}'
    case 'comb_convs', '0.weight' | '0.bias':
      return f'fuse.{down}.{rest[2:]}'
    case 'convs', _:
      return f'decode.{16 << max(i // 2, 0)}.{i % 2}.{rest.removesuffix("noise.weight") or "noise"}'
    case 'to_rgbs', _:
      return f'to_rgb.{up}.{rest}'
  raise InputError(
    f'got {path!r} with a weight {name[:60]!r}, expected those of the public StyleUNet'
  )


def _value(value: np.ndarray) -> np.ndarray:
  """Drops the axes of length 1 that the public layers carry."""
  if value.ndim == 5:  # modulated convolutions
    return value[0]
  if value.ndim == 4 and value.shape[0] == 1 and value.shape[2:] == (1, 1) and value.shape[1] > 1:
    return value.reshape(-1)  # biases
  return value.reshape(()) if value.shape == (1,) else value
