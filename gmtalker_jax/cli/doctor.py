"""Check this machine and this installation: what is here, what is missing, what to do about it.

examples:
  gmtalker doctor
  gmtalker doctor --distributed --config=configs/expression.py --workdir=runs/expression
  gmtalker launch local configs/launch.toml --run --doctor

--distributed takes the flags of `gmtalker train`, on every process as that: have all of them the
same versions, code, config, devices and records, can they write the workdir and is it one disk,
does the batch fit their devices, do they add up? Who differs is named, within a minute.
"""

import functools
import importlib.metadata
import os
import platform
import tempfile
from collections.abc import Callable, Sequence

from gmtalker_jax.cli import arguments, extras, shipped
from gmtalker_jax.core.errors import InputError

_PACKAGES = ('jax', 'flax', 'distrax', 'orbax-checkpoint', 'grain', 'tensorflow-datasets', 'av')


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker doctor`; 1 if something that training or speaking needs is missing."""
  if '--distributed' in argv:
    from gmtalker_jax.cli import doctor_group

    return doctor_group.main([word for word in argv if word != '--distributed'])
  arguments.Parser('doctor', __doc__).read(argv)
  failed = sum(not _say(name, 'MISSING', check) for name, check in _NEEDED.items())
  for extra, (command, check) in _OPTIONAL.items():
    _say(f'[{extra}]', 'absent', functools.partial(_optional, extra, command, check))
  print('all fine' if not failed else f'{failed} missing; see README, section "Install"')
  return int(failed > 0)


def _say(name: str, otherwise: str, check: Callable[[], str]) -> bool:
  """Prints one line; returns whether all is well."""
  try:
    print(f'ok       {name:20} {check()}')
    return True
  except Exception as error:  # whatever is broken is the answer
    reason = (str(error).splitlines() or [''])[0]
    kind = '' if isinstance(error, InputError) else f'{type(error).__name__}: '
    print(f'{otherwise:8} {name:20} {kind}{reason}')
    return False


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


def _talker() -> str:
  from gmtalker_jax.inference import talker

  who = talker.load('builtin')
  return f'{who.subject!r}, {who.portrait.module.output_size} px'


def _temporary() -> str:
  with tempfile.TemporaryFile() as file:
    file.write(bytes(1 << 20))
  return tempfile.gettempdir()


def _optional(extra: str, command: str, check: Callable[[], str]) -> str:
  extras.require(command, extra)
  return check()


def _landmarker() -> str:
  shipped.module('data_pipelines.landmarker').Landmarker()
  return 'the face tracker'


def _voice() -> str:
  import espeakng_loader

  return f'the voice, {os.path.basename(espeakng_loader.get_library_path())}'


_NEEDED: dict[str, Callable[[], str]] = {
  'python': platform.python_version,
  'packages': _packages,
  'devices': _devices,
  'processors': lambda: f'{os.cpu_count()} cores',
  'video codecs': _codecs,
  'head': _head,
  'speech encoder': _speech,
  'built-in talker': _talker,
  'temporary folder': _temporary,
}
# extra -> (a command that is refused without it, what is tried)
_OPTIONAL: dict[str, tuple[str, Callable[[], str]]] = {
  'prepare': ('prepare', _landmarker),
  'corpus': ('corpus', _voice),
  'report': ('demo', lambda: 'evaluation, plots and pages'),
  'tensorboard': ('train', lambda: 'event files of a training'),
  'plan': ('plan', lambda: 'the compiler for TPUs that are not here'),
  'torch': ('export', lambda: 'talkers to PyTorch and back'),
}
