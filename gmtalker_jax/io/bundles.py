"""A talker on disk: a directory that can be copied, read without running anything, and checked.

talker.json             what it is: models, encoder, head, seed; sha256 of each weight file
expression.safetensors  the weights that each generator serves
motion.safetensors
portrait.safetensors
provenance.json         where the weights come from (free form, for people)
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from gmtalker_jax.core.errors import InputError, check_choice
from gmtalker_jax.io import files

FORMAT, VERSION = 'gmtalker-talker', 2
DTYPES = ('float32', 'float16')
_MAX_JSON = 1 << 20
_MAX_TENSORS = 2 << 30  # bytes of one weight file; the public-size portrait is 160 MB
_DOCUMENTS = ('talker.json', 'provenance.json')


class Bundle(NamedTuple):
  """What a talker directory holds: the description and flat float32 tensors per network."""

  description: dict[str, Any]
  tensors: dict[str, dict[str, np.ndarray]]


def provenance(directory: str) -> dict[str, Any]:
  """Where the weights of a talker directory come from: step and config by stage, and notes."""
  return files.read_json(Path(directory) / 'provenance.json')


def save(
  directory: str,
  description: Mapping[str, Any],
  tensors: Mapping[str, Mapping[str, np.ndarray]],
  provenance: Mapping[str, Any],
  dtype: str = 'float32',
) -> None:
  """Writes a talker directory at once (a temporary one, then a rename); replaces an older one.

  Args:
    directory: to be made.
    description: plain JSON values; `format`, `version`, `dtype` and `sha256` are added here.
    tensors: per network, name -> float array.
    provenance: plain JSON values.
    dtype: how weights are stored.

  Raises:
    InputError: an unknown dtype, or a directory that holds anything but a talker.
  """
  check_choice('dtype', dtype, DTYPES)
  target = Path(directory)
  _check_replaceable(target, tensors)
  contents = {
    # safetensors writes the wrong order for arrays that are not contiguous
    f'{n}.safetensors': save_tensors({k: np.asarray(v, dtype, order='C') for k, v in t.items()})
    for n, t in tensors.items()
  }
  talker = {
    'format': FORMAT,
    'version': VERSION,
    **description,
    'dtype': dtype,
    'sha256': {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()},
  }
  contents['talker.json'] = _json(talker)
  contents['provenance.json'] = _json(provenance)
  with files.replacing_folder(target) as folder:
    for name, data in contents.items():
      (folder / name).write_bytes(data)


def load(directory: str, networks: Sequence[str]) -> Bundle:
  """Reads a talker directory. Nothing in it is executed, and no path is taken from it.

  Args:
    directory: what `save` wrote.
    networks: those that it must have.

  Raises:
    InputError: not a talker, damaged (sha256), or not what talker.json says.
  """
  folder = Path(directory)
  if not (folder / 'talker.json').is_file():
    raise InputError(
      f'got the talker {str(directory)!r}, expected a directory with talker.json; '
      'make one with `gmtalker bundle`, or use --talker builtin'
    )
  description = _description(folder / 'talker.json')
  return Bundle(description, {name: _tensors(folder, name, description) for name in networks})


def _json(value: Mapping[str, Any]) -> bytes:
  return (json.dumps(value, indent=1, allow_nan=False) + '\n').encode()


def _check_replaceable(target: Path, networks: Iterable[str]) -> None:
  if not target.exists():
    return
  if not target.is_dir():
    raise InputError(f'got the output {str(target)!r}, which is a file, expected a directory')
  ours = {*_DOCUMENTS, *(f'{name}.safetensors' for name in networks)}
  strangers = sorted({p.name for p in target.iterdir()} - ours)
  if strangers:
    raise InputError(
      f'got the output {str(target)!r}, which holds {strangers[0]!r}, '
      'expected an empty directory or an older talker; choose another --out'
    )


def _description(path: Path) -> dict[str, Any]:
  if path.stat().st_size > _MAX_JSON:
    raise InputError(f'got {str(path)!r} of {path.stat().st_size} bytes, expected a talker.json')
  try:
    value = json.loads(path.read_bytes(), parse_constant=_no_constant)
  except (ValueError, RecursionError) as error:
    raise InputError(f'cannot read {str(path)!r}: {str(error).splitlines()[0]}') from None
  if not isinstance(value, dict) or value.get('format') != FORMAT:
    raise InputError(f'got {str(path)!r}, expected "format": "{FORMAT}"; is it a talker?')
  if value.get('version') != VERSION:
    raise InputError(
      f'got {str(path)!r} of talker version {value.get("version")!r}, expected {VERSION}; bundle '
      'it again with this version of gmtalker_jax'
    )
  if not isinstance(value.get('sha256'), dict):
    raise InputError(f'got {str(path)!r} without "sha256", expected one digest per weight file')
  return value


def _no_constant(name: str) -> None:
  raise ValueError(f'got {name}, expected a finite number')


def _tensors(folder: Path, network: str, description: Mapping[str, Any]) -> dict[str, np.ndarray]:
  path = folder / f'{network}.safetensors'
  if not path.is_file():
    raise InputError(f'got the talker {str(folder)!r} without {path.name}; copy it whole')
  return read_tensors(path, description['sha256'])


def read_tensors(path: Path, digests: Mapping[str, str] | None = None) -> dict[str, np.ndarray]:
  """Reads a safetensors file of float16 or float32 numbers as float32.

  Args:
    path: the file.
    digests: file name -> sha256 that it must have; None: it has none to be compared with.

  Raises:
    InputError: missing, too large, damaged, or other than finite numbers.
  """
  if not path.is_file():
    raise InputError(f'got no file {str(path)!r}, expected safetensors; copy the folder whole')
  if path.stat().st_size > _MAX_TENSORS:
    raise InputError(f'got {str(path)!r} of {path.stat().st_size} bytes, expected < {_MAX_TENSORS}')
  data = path.read_bytes()
  if digests is not None:
    _check_digest(path, data, digests)
  try:
    tensors = load_tensors(data)
  except (SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
    raise InputError(f'cannot read {str(path)!r}: {str(error).splitlines()[0]}') from None
  for name, value in tensors.items():
    if str(value.dtype) not in DTYPES or not np.isfinite(value).all():
      raise InputError(f'got {name!r} in {str(path)!r}, expected finite float16 or float32 numbers')
  return {name: value.astype(np.float32) for name, value in tensors.items()}


def _check_digest(path: Path, data: bytes, digests: Mapping[str, str]) -> None:
  digest, expected = hashlib.sha256(data).hexdigest(), digests.get(path.name)
  if digest != expected:
    raise InputError(
      f'got {str(path)!r} with sha256 {digest[:12]}, expected {str(expected)[:12]}: the file is '
      'damaged or changed; copy it again'
    )
