import os
import subprocess
import sys

import pytest

from gmtalker_jax.cli import arguments, main
from gmtalker_jax.core.errors import InputError


def test_help_imports_nothing_heavy():
  code = (
    'import sys; from gmtalker_jax.cli.main import main; main(["--help"]); '
    'print([m for m in ("jax", "numpy", "av", "matplotlib") if m in sys.modules])'
  )
  done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
  assert done.stdout.splitlines()[-1] == '[]'
  assert all(name in done.stdout for name in main.COMMANDS)


@pytest.mark.parametrize('name', list(main.COMMANDS))
def test_every_subcommand_teaches(name, capsys):
  try:
    code = main.main([name, '--help'])
  except SystemExit as left:
    code = left.code
  assert code == 0
  text = capsys.readouterr().out
  assert 'examples:' in text
  assert f'gmtalker {name}' in text


@pytest.mark.parametrize(
  ('argv', 'match'),
  [
    (['speek'], "did you mean 'speak'"),
    (['speak'], '--audio'),
    (['speak', '--audio', 'x.wav', '--emotoin', 'happy'], "did you mean '--emotion'"),
    (['speak', '--audio', 'x.wav', '--intensity', '3'], 'from 0 to 1'),
    (['speak', '--audio', 'x.wav', '--temperature', '-1'], '>= 0'),
    (['speak', '--audio', 'nope.wav', '--out', 'nope/talk.mp4'], 'cannot write'),
    (['speak', '--audio', 'nope.wav', '--out', 'talk.avi'], 'ends in .mp4'),
    (['speak', '--audio', 'nope.wav', '--emotion', 'hapy'], "did you mean 'happy'"),
    (['speak', '--audio', 'nope.wav'], 'nope.wav'),
    (['bundle', '--expression', 'x', '--out', 'y'], '--motion, --portrait'),
    (['evaluate', '--records', 'nope', '--talker', 'nope'], 'nope'),
    (['corpus', '--out', 'x', '--people', '0'], '>= 1'),
    (['prepare', 'meat', 'src', '--out', 'x'], 'meat'),
    (['sweep', 'nope.py', '--out', 'x'], 'expected a file of a sweep'),
    (['table', 'nope'], 'of a `gmtalker sweep`'),
    (['demo', '--preset', 'huge'], 'huge'),
  ],
)
def test_bad_input_is_one_line_and_code_2(argv, match, capsys, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert main.main(argv) == 2
  error = capsys.readouterr().err
  assert match in error
  assert error.count('\n') == 1
  assert not list(tmp_path.iterdir())


def test_version(capsys, monkeypatch):
  monkeypatch.setattr('importlib.metadata.version', lambda name: '9.9')
  assert main.main(['--version']) == 0
  assert '9.9' in capsys.readouterr().out


def test_options_are_not_abbreviated():
  parser = arguments.Parser('x', 'text')
  parser.add_argument('--intensity')
  with pytest.raises(InputError, match='--intensity'):
    parser.read(['--intens', '1'])


@pytest.mark.skipif(sys.platform != 'linux', reason='it is the C library of Linux')
def test_a_training_has_large_pages_and_is_the_process_that_was_started():
  """With all that was set for the C library before, and beginning anew once."""
  code = (
    'import os, sys; from gmtalker_jax.cli.main import main; sys.argv[1:] = ["train", "--help"];'
    'print("begun", flush=True)\ntry: main()\n'
    'finally: print(os.getpid(), os.environ["GLIBC_TUNABLES"])'
  )
  env = {**os.environ, 'GLIBC_TUNABLES': 'glibc.malloc.perturb=0'}
  begun = subprocess.Popen(
    [sys.executable, '-X', 'utf8', '-c', code], stdout=subprocess.PIPE, text=True, env=env
  )
  out = begun.communicate(timeout=60)[0].splitlines()
  assert out.count('begun') == 2
  assert out[-1] == f'{begun.pid} glibc.malloc.perturb=0:glibc.malloc.hugetlb=1'
