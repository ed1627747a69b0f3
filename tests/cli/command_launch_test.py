"""The commands that `gmtalker launch` writes, and what --run hands to which program."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gmtalker_jax.cli import launch_file, launch_scripts
from gmtalker_jax.cli.main import main

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / 'configs' / 'launch.toml'
TRAIN = [
  'gmtalker', 'train', '--config=configs/expression.py:smoke', '--workdir=runs/expression',
  '--config.data.records=records',
]  # fmt: skip
TOY = """#!{python}
import json, os, sys
said = {{'argv': sys.argv[1:], 'stdin': '' if sys.stdin.isatty() else sys.stdin.read()}}
open(os.environ['TOY_LOG'], 'a').write(json.dumps(said) + '\\n')
sys.exit(int(os.environ.get('TOY_CODE', 0)))
"""


@pytest.fixture
def cluster(tmp_path, monkeypatch):
  """Programs that only write down how they were called; returns what they wrote."""
  for name in ('sbatch', 'gcloud', 'xpk'):
    program = tmp_path / 'bin' / name
    program.parent.mkdir(exist_ok=True)
    program.write_text(TOY.format(python=sys.executable))
    program.chmod(0o755)
  monkeypatch.setenv('PATH', str(tmp_path / 'bin'), prepend=':')
  monkeypatch.setenv('TOY_LOG', str(tmp_path / 'log'))
  monkeypatch.chdir(tmp_path)
  return lambda: [json.loads(line) for line in (tmp_path / 'log').read_text().splitlines()]


def written(kind, capsys, *flags):
  assert main(['launch', kind, str(EXAMPLE), *flags]) == 0
  return capsys.readouterr().out


@pytest.mark.parametrize('kind', list(launch_file.PLACES))
def test_what_is_written_is_a_shell_script(kind, capsys):
  done = subprocess.run(['bash', '-n'], input=written(kind, capsys), capture_output=True, text=True)
  assert done.returncode == 0, done.stderr


def test_the_processes_of_this_machine_are_one_group(capsys):
  """The script itself is run, with a gmtalker that writes down how it was called."""
  toy = 'gmtalker() { echo "$JAX_PLATFORMS $XLA_FLAGS $@"; }\n'
  done = subprocess.run(
    ['bash', '-c', toy + written('local', capsys)], capture_output=True, text=True
  )
  seen = [line.split() for line in sorted(done.stdout.splitlines(), key=lambda line: line[-22:])]
  assert len(seen) == 4
  for i, words in enumerate(seen):
    assert words[:2] == ['cpu', '--xla_force_host_platform_device_count=1']
    assert words[2:6] == TRAIN[1:]
    assert words[6:] == ['--coordinator=127.0.0.1:5000', f'--process-id={i}', '--processes=4']


def test_a_slurm_job_saves_before_its_time_is_up_and_goes_back_to_the_queue(capsys, cluster):
  text = written('slurm', capsys, '--restarts', '5')
  assert '#SBATCH --signal=TERM@120\n' in text
  assert '#SBATCH --requeue\n' in text
  assert f'srun {shlex.join(TRAIN)}\n' in text
  assert main(['launch', 'slurm', str(EXAMPLE), '--run', '--restarts', '5']) == 0
  assert cluster() == [{'argv': [], 'stdin': text}]


@pytest.mark.parametrize(
  ('code', 'before', 'again'),
  [(0, 0, False), (1, 0, False), (75, 0, True), (78, 1, True), (137, 2, True), (75, 3, False)],
)
def test_a_slurm_job_is_queued_again_after_a_loss_only(code, before, again, tmp_path, capsys):
  """The script itself is run, with an srun that ends so."""
  script = written('slurm', capsys).replace('source /shared/venv/bin/activate', ':')
  toys = f'srun() {{ return {code}; }}; scontrol() {{ echo "$@" > {tmp_path}/queued; }}\n'
  env = {'SLURM_JOB_ID': '7', 'SLURM_RESTART_COUNT': str(before), 'PATH': '/bin:/usr/bin'}
  assert subprocess.run(['bash', '-c', toys + script], env=env).returncode == code
  assert (tmp_path / 'queued').is_file() == again
  assert not again or (tmp_path / 'queued').read_text() == 'requeue 7\n'


def test_on_tpu_hosts_the_training_is_run_but_no_machine_is_rented(capsys, cluster):
  text = written('tpu-vm', capsys)
  create, setup, train = [line for line in text.replace('\\\n', '').splitlines() if line[0] == 'g']
  assert shlex.split(create)[4:6] == ['create', 'gmtalker']
  assert shlex.split(setup)[-1] == "--command=pip install 'gmtalker_jax[tpu]'"
  assert main(['launch', 'tpu-vm', str(EXAMPLE), '--run']) == 0
  (called,) = cluster()
  assert ['gcloud', *called['argv']] == shlex.split(train)
  assert shlex.split(called['argv'][-1].removeprefix('--command=')) == TRAIN


def test_on_tpu_hosts_it_is_started_again(cluster, monkeypatch):
  monkeypatch.setenv('TOY_CODE', '78')
  assert main(['launch', 'tpu-vm', str(EXAMPLE), '--run', '--restarts', '2']) == 78
  assert len(cluster()) == 3


def test_a_workload_says_what_it_needs(capsys, cluster):
  words = shlex.split(written('xpk', capsys).split('\n', 1)[1].replace('\\\n', ''))
  assert words[:3] == ['xpk', 'workload', 'create']
  assert '--restart-on-user-code-failure' in words  # else no code of ours starts it again
  assert main(['launch', 'xpk', str(EXAMPLE), '--run']) == 0
  assert cluster()[0]['argv'] == words[1:]


def test_the_example_is_found_from_anywhere(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert launch_file.read('configs/launch.toml', 'xpk') == launch_file.read(str(EXAMPLE), 'xpk')


@pytest.mark.parametrize(
  ('change', 'match'),
  [
    (('processes = 4', 'proceses = 4'), "did you mean 'processes'?"),
    (('processes = 4', 'processes = 0'), 'expected at least 1'),
    (('processes = 4', 'processes = "4"'), 'expected int'),
    (('devices = 1', '# devices'), "got no 'devices'"),
    (('[local]', '[locl]'), 'unknown [locl]'),
    (('[local]', '[local'), 'cannot read'),
    (('flags = [', 'flags = [1, '), 'expected a list of texts'),
    (('expression.py:smoke', 'expresion.py:smoke'), "did you mean 'expression.py'?"),
    (('config.data.records', 'config.data.recrods'), 'recrods'),
    (('data.records=records', 'model.heads=3'), 'a divisor of width'),
  ],
)
def test_a_wrong_file_is_one_line_and_nothing_is_started(change, match, tmp_path, capsys):
  text = EXAMPLE.read_text()
  assert change[0] in text
  (tmp_path / 'mine.toml').write_text(text.replace(*change, 1))
  assert main(['launch', 'local', str(tmp_path / 'mine.toml'), '--run']) == 2
  error = capsys.readouterr().err
  assert match in error
  assert error.count('\n') == 1
  assert [p.name for p in tmp_path.iterdir()] == ['mine.toml']


def test_a_program_that_is_not_here_is_one_line(capsys, monkeypatch):
  monkeypatch.setenv('PATH', '/nonexistent')
  assert main(['launch', 'slurm', str(EXAMPLE), '--run']) == 2
  assert "no program 'sbatch'" in capsys.readouterr().err


def test_the_codes_that_go_on_are_those_of_the_page():
  """docs/recovery.md says after which codes the same command goes on."""
  assert '  75|76|77|78|137)' in launch_scripts.script(
    *launch_file.read(str(EXAMPLE), 'slurm'), restarts=3
  )
