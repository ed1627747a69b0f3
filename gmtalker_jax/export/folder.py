"""The exported folder: what lies in it, how it is written, and how it is read back.

README.md               the model card, and how to run it
config.json             networks, statistics, person, which weights these are, digests
expression.safetensors  state dictionaries in PyTorch's names and order, float32
motion.safetensors
portrait.safetensors
head.safetensors        the 3D head of this person
speech.safetensors      the network that listens, where the talker has one
golden.safetensors      a sound, and what the talker makes of it step by step
parity.json             every layer here beside its original
onnx/                   graphs.py has what; only where asked for
gmtalker_torch/         the package that loads and runs all this; needs no JAX
requirements.txt
"""

import hashlib
import importlib.resources
import json
from collections.abc import Iterator, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as save_tensors

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.export.gmtalker_torch.talker import FORMAT, VERSION
from gmtalker_jax.io import bundles, files

PACKAGE = 'gmtalker_torch'
REQUIREMENTS = """\
torch>=2.6
numpy>=2
safetensors>=0.5
av>=14        # only to write .mp4; pictures need nothing more
"""


def write(
  folder: Path, about: Mapping[str, Any], weights: Mapping[str, Any], tensors: Mapping[str, Any]
) -> None:
  """Writes all but the card and the report.

  Args:
    folder: an empty one.
    about: the talker in words and numbers, as in talker.json.
    weights: per network, which weights of a training these are.
    tensors: per file, name -> array.
  """
  contents = {f'{name}.safetensors': save_tensors(dict(t)) for name, t in tensors.items()}
  config = {
    'format': FORMAT,
    'version': VERSION,
    'talker': about,
    'weights': weights,
    'sha256': {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()},
  }
  for name, data in contents.items():
    (folder / name).write_bytes(data)
  (folder / 'config.json').write_text(json.dumps(config, indent=1, allow_nan=False) + '\n')
  (folder / 'requirements.txt').write_text(REQUIREMENTS)
  for name, data in package_files():
    (folder / PACKAGE / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / PACKAGE / name).write_bytes(data)


def read_config(folder: Path) -> dict[str, Any]:
  """config.json. Raises InputError where there is none of this format and version."""
  path = folder / 'config.json'
  config = files.read_json(path)
  found = (config.get('format'), config.get('version')) if isinstance(config, dict) else None
  if found != (FORMAT, VERSION) or not isinstance(config.get('sha256'), dict):
    raise InputError(
      f'got {str(path)!r}, expected a folder that `gmtalker export` of this version made'
    )
  return config


def read_tensors(folder: Path, name: str, config: Mapping[str, Any]) -> dict[str, np.ndarray]:
  """The float32 tensors of a network. Raises InputError: missing, damaged, no finite numbers."""
  return bundles.read_tensors(folder / f'{name}.safetensors', config['sha256'])


def check_replaceable(out: Path) -> None:
  """Raises InputError unless `out` is free, empty, or an older export."""
  if not out.exists() or (out.is_dir() and not any(out.iterdir())):
    return
  try:
    read_config(out)
  except InputError:
    raise InputError(
      f'got the output {str(out)!r}, which holds something else, expected a new folder or an '
      'older export; choose another --out'
    ) from None


def package_files() -> Iterator[tuple[str, bytes]]:
  """The sources that travel, by their path in the package."""
  root = importlib.resources.files('gmtalker_jax.export') / PACKAGE

  def walk(place: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(place.iterdir(), key=lambda e: e.name):
      if entry.is_dir() and entry.name != '__pycache__':
        yield from walk(entry, f'{prefix}{entry.name}/')
      elif entry.name.endswith('.py'):
        yield prefix + entry.name, entry.read_bytes()

  return walk(root, '')
