"""Train one generator. The config is a Python file; any number in it can be set from here.

examples:
  gmtalker train --config=configs/expression.py:demo --workdir=runs/expression
  gmtalker train --config=configs/motion.py:demo --workdir=runs/motion --config.steps=500
  gmtalker train --config=configs/portrait.py --workdir=runs/portrait

  --config=FILE[:VARIANT]  a file of yours, or one that ships (configs/expression.py, motion.py,
                           portrait.py); variants: none = full size, demo = minutes, smoke = seconds
                           in yours, `from . import base` is the shipped configs/base.py
  --workdir=DIR            everything is written here; run the same command again to go on
  --config.NAME=VALUE      override, e.g. --config.optimizers.generator.rate=3e-4

  Several processes train as one where a TPU VM, SLURM, Kubernetes or Open MPI started them, or by
  --coordinator=HOST:PORT --process-id=I --processes=N, the same command on each (docs/pods.md).
  --start-timeout=SECONDS  who has not started by then is named, and the others end with 78 (300)
  --peer-timeout=SECONDS   a process without a sign for so long is lost, and the others end with 78

  --profile=STEP:COUNT     trace so many steps from this one on into WORKDIR/profile, for XProf,
                           TensorBoard or Perfetto

exit codes: 0 done; 1 failed (diverged, a full disk); 2 bad input; 75 stopped by SIGTERM or Ctrl-C
and saved; 76 the same by SIGUSR1; 77 stuck, see config.faults.watchdog_s. After 75, 76 and 77 the
same command goes on; docs/recovery.md has more.
"""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

from gmtalker_jax.cli import arguments, shipped
from gmtalker_jax.core.errors import InputError, did_you_mean


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker train`."""
  if any(a in ('-h', '--help', '-help') for a in argv):
    print(f'usage: gmtalker train --config=FILE[:VARIANT] --workdir=DIR\n\n{__doc__}')
    return 0
  together, argv = read_processes(argv)
  config, workdir = read_flags(argv)
  # Only now: a wrong flag is refused before any device is touched.
  from gmtalker_jax.train import processes

  group = together.coordinator, together.process_id, together.processes
  processes.join_in(workdir, *group, together.start_timeout)
  import jax

  from gmtalker_jax.io import checkpoints
  from gmtalker_jax.train import faults, run, termination

  try:
    with processes.Peers(workdir, together.peer_timeout, jax.process_index(), jax.process_count()):
      first = jax.process_index() == 0
      metrics = run.train(config, workdir, progress=first, profile=together.profile)
  except termination.Preempted as stopped:
    print(f'gmtalker: {stopped}', file=sys.stderr)
    return stopped.exit_code
  except (faults.Diverged, checkpoints.SaveFailed) as error:
    print(f'gmtalker: {error}', file=sys.stderr)
    return 1
  if jax.process_index():
    return 0
  shown = ' '.join(f'{k} {v:.4g}' for k, v in sorted(metrics.items()) if k.startswith('test/'))
  print(f'{workdir}: {shown}')
  return 0


def read_processes(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
  """Returns what is said of this process and not of the run, and the other arguments."""
  parser = arguments.Parser('train', __doc__ or '')
  add = parser.add_argument
  add('--coordinator', default='')
  add('--process-id', type=arguments.whole)
  add('--processes', type=arguments.count)
  add('--start-timeout', type=arguments.not_negative, default=300.0)
  add('--peer-timeout', type=arguments.not_negative, default=60.0)
  add('--profile', type=_window, default=(0, 0))
  return parser.parse_known_args(argv)


def _window(text: str) -> tuple[int, int]:
  first, _, count = text.partition(':')
  return arguments.count(first), arguments.count(count)


def read_flags(argv: Sequence[str]) -> tuple[Any, str]:
  """Returns the config, with its overrides applied, and the work directory."""
  from absl import flags
  from ml_collections import config_flags

  parser = arguments.Parser('train', __doc__ or '')
  parser.add_argument('--config', '-config')
  known, rest = parser.parse_known_args(argv)
  values = flags.FlagValues()  # our own: nobody else's flags are ours
  flags.DEFINE_string('workdir', None, 'Where everything is written.', flag_values=values)
  if not known.config:
    raise InputError('got no --config; see `gmtalker train --help`')
  path, *variant = known.config.split(':', 1)
  path = _find_config(path)
  argv = ['gmtalker train', *rest]
  try:
    config = shipped.config_module(path).get_config(*variant)
    config_flags.DEFINE_config_dict('config', config, flag_values=values, sys_argv=argv)
    rest = values(argv)[1:]
    config, workdir = values.config, values.workdir
  except Exception as error:  # absl and ml_collections raise whatever a config file raises
    raise InputError(_reason(error)) from None
  if rest:
    raise InputError(f'got the argument {rest[0]!r}, expected --NAME=VALUE only')
  if not workdir:
    raise InputError('got no --workdir; see `gmtalker train --help`')
  return config, workdir


def _find_config(path: str) -> str:
  """The file `path`, or the one that ships, where there is none of that name here."""
  if os.path.exists(path):
    return path
  folder = os.path.dirname(shipped.module('configs').__file__ or '')
  name = os.path.basename(path)
  known = sorted(f for f in os.listdir(folder) if f.endswith('.py') and not f.startswith('_'))
  if os.path.dirname(path) in ('', 'configs') and name in known:
    return os.path.join(folder, name)
  raise InputError(f'got the config {path!r}, which is no file{did_you_mean(name, known)}')


def _reason(error: Exception) -> str:
  """One line: the last of a traceback, or all of a plain message."""
  lines = [line for line in str(error).replace('\\n', '\n').splitlines() if line.strip()]
  if any(line.startswith('Traceback') for line in lines):
    lines = [re.sub(r'^[\w.]*(Error|Exception): ', '', lines[-1])]
  text = ' '.join(line.strip(' \'"\\') for line in lines)
  if isinstance(error, (AttributeError, KeyError)):
    return f'got an unknown config key {text}; see the config file for the keys'
  return text or type(error).__name__
