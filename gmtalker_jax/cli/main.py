"""The `gmtalker` command: finds the subcommand, and turns bad input into one line.

Nothing heavy is imported here, so `gmtalker --help` answers at once.
"""

import importlib
import os
import sys
from collections.abc import Sequence

COMMANDS = {
  'demo': 'everything below on a small corpus, and a report: start here',
  'person': 'from videos of somebody to their talking portrait, and a page about it',
  'speak': 'sound in, talking portrait out',
  'voice': 'make a wav: an invented person says a text',
  'corpus': 'make the built-in corpus of invented people (video, sound, truth)',
  'prepare': 'turn videos into training records',
  'act': 'records of one mood, acted in the other emotions',
  'train': 'train one of the three generators',
  'launch': 'start one training on many processes: here, on SLURM, on TPUs',
  'plan': 'what a training costs on a pod that is not here',
  'bundle': 'pack three trained generators into a talker directory',
  'export': 'a talker for PyTorch, each layer compared with its original',
  'import': 'weights from PyTorch into a talker',
  'evaluate': 'measure a talker against held-out records',
  'compare': 'two evaluations: paired differences with intervals',
  'sweep': 'train and measure every point of a question',
  'table': 'the numbers of a sweep: means, spreads, holes',
  'render': 'show recorded coefficients on any head',
  'reenact': 'paint recorded clips anew, beside their photographs',
  'checkpoint': 'verify, list or prune the checkpoints of a training',
  'goodput': 'where the time of a training went, with all its restarts',
  'bench': 'our training and sampling beside PyTorch, as ratios',
  'doctor': 'check this machine and this installation',
}
_LIBC, _PAGES = 'CS_GNU_LIBC_VERSION', 'glibc.malloc.hugetlb'
TRAINING = 'demo', 'person', 'train', 'sweep', 'bench'
EXAMPLES = """\
examples:
  gmtalker speak --audio voice.wav --emotion happy --out talk.mp4
  gmtalker demo --out demo
  gmtalker SUBCOMMAND --help"""


def main(argv: Sequence[str] | None = None) -> int:
  """Runs `gmtalker argv`; returns the exit code: 0 fine, 1 failed, 2 bad input, 130 interrupted."""
  if argv is None:  # a process of its own
    argv = sys.argv[1:]
    if argv and argv[0] in TRAINING:
      _with_large_pages()
  argv = list(argv)
  if not argv or argv[0] in ('-h', '--help', 'help'):
    print(_overview())
    return 0
  if argv[0] == '--version':
    from importlib.metadata import version

    print(f'gmtalker {version("gmtalker_jax")}')
    return 0
  if argv[0] not in COMMANDS:
    from gmtalker_jax.core.errors import did_you_mean

    return _refuse(f'got the subcommand {argv[0]!r}{did_you_mean(argv[0], COMMANDS)}')
  return _run(argv[0], argv[1:])


def _overview() -> str:
  width = max(map(len, COMMANDS))
  commands = '\n'.join(f'  {name:{width}}  {text}' for name, text in COMMANDS.items())
  return (
    'Emotional talking portraits in JAX (GMTalker).\n\n'
    f'usage: gmtalker SUBCOMMAND ...\n\n{commands}\n\n{EXAMPLES}'
  )


def _run(name: str, argv: Sequence[str]) -> int:
  from gmtalker_jax.core.errors import InputError

  _quiet()
  try:
    return importlib.import_module(f'gmtalker_jax.cli.{name}').main(argv) or 0
  except InputError as error:
    return _refuse(str(error))
  except KeyboardInterrupt:
    print('gmtalker: interrupted', file=sys.stderr)
    return 130
  except BrokenPipeError:  # `gmtalker ... | head`
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
  except OSError as error:  # a full disk, a folder that may not be written: no fault of the program
    place = f' {str(error.filename)!r}' if error.filename else ''
    print(f'gmtalker: {error.strerror or error}{place}', file=sys.stderr)
    return 1


def _refuse(message: str) -> int:
  print(f'gmtalker: {" ".join(message.split())}', file=sys.stderr)
  return 2


def _quiet() -> None:
  """Compiles once per machine, and keeps other libraries' notices out of the terminal."""
  cache = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
  os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', os.path.join(cache, 'gmtalker', 'xla'))
  os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0')
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')


def _with_large_pages() -> None:
  """Begins this process anew with large pages of memory, if its C library (glibc) can give them.

  XLA on a CPU takes a step's memory from the system and gives it back, each step: in pages of 4 kB
  that costs a painter's training an eighth of its time. glibc asks once, when a process begins.
  """
  if _LIBC not in getattr(os, 'confstr_names', {}):
    return
  version = (os.confstr(_LIBC) or 'glibc 0').split()[-1]
  given = os.environ.get('GLIBC_TUNABLES', '')
  if tuple(map(int, version.split('.'))) < (2, 35) or _PAGES in given:
    return
  pages = f'{_PAGES}=1'
  os.environ['GLIBC_TUNABLES'] = f'{given}:{pages}' if given else pages
  os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


if __name__ == '__main__':
  sys.exit(main())
