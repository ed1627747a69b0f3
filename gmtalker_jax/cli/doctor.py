"""Check this machine and this installation: what is here, what is missing, what to do about it.

examples:
  gmtalker doctor
"""

import importlib.metadata
import os
import platform
import tempfile
from collections.abc import Callable, Sequence

from gmtalker_jax.cli import arguments, shipped

_PACKAGES = ('jax', 'flax', 'distrax', 'orbax-checkpoint', 'grain', 'tensorflow-datasets', 'av')


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker doctor`; 1 if something that is needed is missing."""
  arguments.Parser('doctor', __doc__).read(argv)
  checks: dict[str, Callable[[], str]] = {
    'python': platform.python_version,
    'packages': _packages,
    'devices': _devices,
    'processors': lambda: f'{os.cpu_count()} cores',
    'video codecs': _codecs,
    'head': _head,
    'speech encoder': _speech,
    'voice (corpus)': _voice,
    'face tracker (prepare)': _landmarker,
    'built-in talker': _talker,
    'temporary folder': _temporary,
  }
  failed = 0
  for name, check in checks.items():
    try:
      print(f'ok       {name:24} {check()}')
    except Exception as error:  # whatever is broken is the answer
      failed += 1
      reason = (str(error).splitlines() or [''])[0]
      print(f'MISSING  {name:24} {type(error).__name__}: {reason}')
  print('all fine' if not failed else f'{failed} missing; see README, section "Install"')
  return int(failed > 0)


def _packages() -> str:
  return ' '.join(f'{name} {importlib.metadata.version(name)}' for name in _PACKAGES)


def _devices() -> str:
  import jax

  return ', '.join(str(d) for d in jax.devices())


def _codecs() -> str:
  import av

  for name in ('libx264', 'aac'):
    av.Codec(name, 'w')
  return 'H.264 and AAC'


def _head() -> str:
  from gmtalker_jax.io.heads import load_head

  return f'{load_head().mean.shape[0]} vertices'


def _speech() -> str:
  import numpy as np

  from gmtalker_jax import speech

  encoder = speech.open()
  rows = encoder.encode(np.zeros(16_000, np.float32))
  return f'{encoder.identity}, {rows.shape[1]} features'


def _voice() -> str:
  import espeakng_loader

  return os.path.basename(espeakng_loader.get_library_path())


def _landmarker() -> str:
  landmarker = shipped.module('data_pipelines.landmarker')
  return (landmarker.__doc__ or '').splitlines()[0]


def _talker() -> str:
  from gmtalker_jax.inference import talker

  who = talker.load('builtin')
  return f'{who.subject!r}, {who.portrait.module.output_size} px'


def _temporary() -> str:
  with tempfile.TemporaryFile() as file:
    file.write(bytes(1 << 20))
  return tempfile.gettempdir()
