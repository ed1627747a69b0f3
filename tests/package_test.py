"""The wheel: built by the real backend, installed apart from the repository, used from nowhere."""

import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tiny_records

from gmtalker_jax.cli.extras import EXTRAS
from gmtalker_jax.io import audio, video

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
  out = tmp_path_factory.mktemp('dist')
  subprocess.run(
    [sys.executable, '-m', 'hatchling', 'build', '--target', 'wheel', '--directory', str(out)],
    cwd=ROOT, check=True,
  )  # fmt: skip
  (path,) = out.iterdir()
  return path


@pytest.fixture(scope='module')
def installed(wheel, tmp_path_factory):
  """A venv with the wheel in it; of this one it sees the dependencies, but no editable checkout."""
  venv = tmp_path_factory.mktemp('venv')
  subprocess.run([sys.executable, '-m', 'venv', '--without-pip', str(venv)], check=True)
  pip = [sys.executable, '-m', 'pip', '--python', str(venv / 'bin' / 'python')]
  subprocess.run([*pip, 'install', '--quiet', '--no-deps', '--no-index', str(wheel)], check=True)
  site = next(venv.glob('lib/python*/site-packages'))
  # A folder that a .pth names is only searched: .pth files in it, the checkout's too, do nothing.
  (site / 'dependencies.pth').write_text(sysconfig.get_path('purelib') + '\n')
  return venv / 'bin'


@pytest.fixture(scope='module')
def no_extras(tmp_path_factory):
  """A folder for PYTHONPATH that hides the packages of all extras (jax itself needs scipy)."""
  folder = tmp_path_factory.mktemp('hidden')
  for package in {name for names in EXTRAS.values() for name in names} - {'scipy'}:
    (folder / f'{package}.py').write_text(f'raise ModuleNotFoundError({package!r})\n')
  return folder


def _run(installed, program, *words, cwd, path=''):
  env = os.environ | {
    'XLA_FLAGS': '--xla_backend_optimization_level=0',  # one device, quick compiles
    'PYTHONPATH': str(path),
  }
  return subprocess.run(
    [str(installed / program), *words], cwd=cwd, env=env, capture_output=True, text=True
  )


@pytest.mark.slow
def test_one_name_at_the_top_of_the_wheel(wheel):
  with zipfile.ZipFile(wheel) as files:
    names = files.namelist()
  (info,) = {name.split('/')[0] for name in names} - {'gmtalker_jax'}
  assert info.startswith('gmtalker_jax-')
  assert info.endswith('.dist-info')
  for name in ('py.typed', 'configs/base.py', 'data_pipelines/lag_predictor.npz', 'face/head.npz'):
    assert f'gmtalker_jax/{name}' in names


@pytest.mark.slow
def test_the_wheel_alone_speaks_and_trains_from_an_empty_folder(installed, no_extras, tmp_path):
  code = 'import gmtalker_jax; print(gmtalker_jax.__file__)'
  found = _run(installed, 'python', '-c', code, cwd=tmp_path)
  assert Path(found.stdout).is_relative_to(installed.parent), found

  wave = 0.1 * np.sin(np.arange(6_400) / 10)
  audio.write(tmp_path / 'voice.wav', wave)
  done = _run(
    installed, 'gmtalker', 'speak', '--audio', 'voice.wav', cwd=tmp_path, path=no_extras
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  assert len(list(video.stream(tmp_path / 'talk.mp4'))) == 10

  records = tiny_records.write(tmp_path / 'records', 'logmel')
  done = _run(
    installed, 'gmtalker', 'train', '--config=configs/expression.py:smoke', '--workdir=run',
    f'--config.data.records={records}', cwd=tmp_path, path=no_extras,
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  assert (tmp_path / 'run' / 'final.json').is_file()
  assert "tensorboard is not written; for it, run: pip install 'gmtalker_jax[tens" in done.stderr


@pytest.mark.slow
def test_the_pipelines_are_in_the_wheel(installed, tmp_path):
  (tmp_path / 'clips').mkdir()
  done = _run(installed, 'gmtalker', 'prepare', 'folder', 'clips', '--out', 'r', cwd=tmp_path)
  assert done.returncode == 2  # all of the pipelines was found: it complains of no clips
  assert 'clips' in done.stderr
  assert done.stderr.count('\n') == 1


def test_make_help_names_every_target():
  text = (ROOT / 'Makefile').read_text()
  shown = subprocess.run(
    ['make', '--no-print-directory', 'help'], cwd=ROOT, capture_output=True, text=True, check=True
  )
  targets = re.search(r'^\.PHONY: (.+)$', text, re.MULTILINE)[1].split()
  assert [line.split()[:2] for line in shown.stdout.splitlines()] == [['make', t] for t in targets]
