"""From PyTorch into a talker: an exported folder, bit for bit; or the public StyleUNet."""

from pathlib import Path
from typing import Any

import numpy as np
from flax import traverse_util

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.export import folder, public, rules
from gmtalker_jax.inference import bundling
from gmtalker_jax.inference import talker as talkers
from gmtalker_jax.inference.talker import Talker
from gmtalker_jax.stages import STAGES


def import_folder(place: str, out: str) -> Talker:
  """Makes a talker at `out` of a folder that `gmtalker export` made.

  Its weights may have been trained on in PyTorch and written with `gmtalker_torch.save`.

  Raises:
    InputError: no such folder, damaged, or weights that do not fit the networks it names.
  """
  config = folder.read_config(Path(place))
  try:
    talker = talkers.from_description(config['talker'], _tensors(Path(place), config), check=True)
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    if isinstance(error, InputError):
      raise
    reason = str(error).splitlines()[0] if str(error) else ''
    raise InputError(
      f'got the folder {place!r} that cannot be read ({type(error).__name__}: {reason[:120]}), '
      'expected what `gmtalker export` writes; export it again'
    ) from None
  provenance = {
    name: {'step': one['step'], 'config': {'ema_decay': one['ema_decay']}}
    for name, one in config['weights'].items()
  }
  bundling.save(talker, out, {'note': 'came back from PyTorch', **provenance}, 'float32')
  return talker


def import_public(path: str, base: str, out: str) -> Talker:
  """Makes a talker at `out`: `base` with the public StyleUNet at `path` as its painter.

  Raises:
    InputError: no such talker or file, more than weights in it, or those of another network.
  """
  found = public.read(path)
  talker = public.into(talkers.load(base), found)
  kind = 'moving average' if found.averaged else 'last step'
  bundling.save(talker, out, {'note': f'public StyleUNet ({kind}), to be trained on'}, 'float32')
  return talker


def _tensors(place: Path, config: dict[str, Any]) -> dict[str, rules.Arrays]:
  """Per stage, the weights by linen path."""
  tensors = {}
  for name in STAGES:
    module = talkers.module_of(name, config['talker']['models'][name])
    like = traverse_util.flatten_dict(dict(STAGES[name].abstract_params(module)), sep='/')
    weights = rules.from_torch(folder.read_tensors(place, name, config), like)
    tensors[name] = {path: np.asarray(value, order='C') for path, value in weights.items()}
  return tensors
