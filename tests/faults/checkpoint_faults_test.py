"""Faults 6, 7, 8, 10, 21 and 23: what disks and people do to checkpoints, through the command."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import toy_records

from gmtalker_jax.cli.main import main
from gmtalker_jax.io import steps, writers

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def records(tmp_path_factory):
  out = tmp_path_factory.mktemp('records')
  toy_records.write(out, train=8, test=4)
  return out


def arguments(records, workdir, *more):
  return [
    'train', '--config=configs/motion.py:smoke', f'--workdir={workdir}',
    f'--config.data.records={records}', '--config.model.decoder_mode=parallel',
    '--config.loss.scheduled_sampling=0.0', *more,
  ]  # fmt: skip


@pytest.fixture(scope='module')
def trained(records, tmp_path_factory):
  out = tmp_path_factory.mktemp('trained') / 'w'
  assert main(arguments(records, out)) == 0
  return out


@pytest.fixture
def workdir(trained, tmp_path):
  return Path(shutil.copytree(trained, tmp_path / 'w'))


def said(capsys, lines=1):
  """What was said on stderr; no traceback, so many lines of our own."""
  text = capsys.readouterr().err
  assert 'Traceback' not in text
  own = [line for line in text.splitlines() if line.startswith('gmtalker: ')]
  assert len(own) == lines, text
  return own[-1] if own else ''


def damage(workdir, step, item='state'):
  """Flips a bit of every file that holds arrays of the item."""
  for path in (workdir / 'checkpoints' / str(step) / item).rglob('d/*'):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_fault_07_a_flipped_bit_is_found_named_and_the_step_before_is_taken(
  records, workdir, capsys, caplog
):
  assert main(['checkpoint', 'verify', str(workdir)]) == 0
  assert capsys.readouterr().out == 'step 4: whole\nstep 2: whole\n'
  damage(workdir, 4)
  assert main(['checkpoint', 'verify', str(workdir)]) == 1
  out = capsys.readouterr().out
  assert 'step 4: damaged\n  state/' in out
  assert 'step 2: whole' in out
  assert main(arguments(records, workdir)) == 0
  assert 'checkpoint 4 is not used: got a damaged' in caplog.text
  assert ': state/' in caplog.text
  assert main(['checkpoint', 'verify', str(workdir)]) == 0  # step 4 was made again


def test_fault_08_only_damaged_checkpoints_are_never_a_silent_restart(records, workdir, capsys):
  before = (workdir / 'metrics.jsonl').read_bytes()
  for step in (2, 4):
    damage(workdir, step)
  assert main(arguments(records, workdir)) == 2
  line = said(capsys)
  assert 'got no usable checkpoint' in line
  assert 'remove' not in line
  shutil.rmtree(workdir / 'checkpoints' / '4')
  (workdir / 'checkpoints' / '4').mkdir()
  assert main(arguments(records, workdir)) == 2
  assert (workdir / 'metrics.jsonl').read_bytes() == before


def test_fault_08_checkpoints_that_went_away_are_missed(records, workdir, capsys):
  before = (workdir / 'metrics.jsonl').read_bytes()
  (workdir / 'checkpoints').rename(workdir / 'elsewhere')
  assert main(arguments(records, workdir, '--config.steps=6')) == 2
  assert 'without a checkpoint, although it knows one of step 4' in said(capsys)
  (workdir / 'final.json').unlink()  # a run that was killed has none
  assert main(arguments(records, workdir, '--config.steps=6')) == 2
  assert 'put checkpoints/ back' in said(capsys)
  assert (workdir / 'metrics.jsonl').read_bytes() == before


def test_fault_08_an_empty_config_json_is_written_again(records, workdir):
  whole = (workdir / 'config.json').read_bytes()
  (workdir / 'config.json').write_bytes(b'')
  assert main(arguments(records, workdir)) == 0
  assert (workdir / 'config.json').read_bytes() == whole


def test_fault_10_another_model_is_named_with_names_and_shapes(records, workdir, capsys):
  # As after a change of code: the config of the workdir says what is asked for now.
  text = (workdir / 'config.json').read_text()
  (workdir / 'config.json').write_text(text.replace('"encoder_layers": 1', '"encoder_layers": 2'))
  assert main(arguments(records, workdir, '--config.model.encoder_layers=2')) == 2
  line = said(capsys)
  assert 'another model than the one that was saved' in line
  assert 'missing: ' in line
  assert 'blocks_1' in line
  assert '(16,' in line
  assert 'damage' not in line
  assert steps.find(workdir / 'checkpoints') == [4, 2]


def test_fault_21_other_records_are_refused_in_one_line(workdir, tmp_path, capsys):
  toy_records.write(tmp_path / 'other', train=6, test=2)
  assert main(arguments(tmp_path / 'other', workdir)) == 2
  line = said(capsys)
  assert 'got data with fingerprint' in line
  assert 'remove' not in line
  assert steps.find(workdir / 'checkpoints') == [4, 2]


def test_fault_12_damaged_descriptions_of_records_are_one_line(records, tmp_path, capsys):
  for name in ('dataset_info.json', 'features.json', 'manifest.json', 'statistics.json'):
    for content in (b'', b'{"cut": ', b'\xff\xfe'):
      copy = Path(shutil.copytree(records, tmp_path / 'records', dirs_exist_ok=True))
      next(copy.rglob(name)).write_bytes(content)
      assert main(arguments(copy, tmp_path / 'w')) == 2, name
      said(capsys)
  assert not (tmp_path / 'w' / 'metrics.jsonl').exists()


def test_checkpoint_prune_keeps_what_is_whole(workdir, capsys):
  damage(workdir, 4)
  assert main(['checkpoint', 'prune', str(workdir), '--keep', '1', '--dry-run']) == 0
  assert capsys.readouterr().out == 'step 4 stays\nstep 2 stays\n'
  damage(workdir, 2)
  assert main(['checkpoint', 'prune', str(workdir)]) == 2
  assert 'nothing was removed' in said(capsys)
  assert main(['checkpoint', 'list', str(workdir)]) == 0
  assert capsys.readouterr().out.startswith('step 4 ')


def run(arguments, **options):
  env = {k: v for k, v in os.environ.items() if k != 'PYTEST_CURRENT_TEST'}
  return subprocess.Popen(
    [sys.executable, '-m', 'gmtalker_jax.cli.main', *arguments],
    cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True, **options,
  )  # fmt: skip


@pytest.fixture
def small_disk(tmp_path):
  """A real file system of 32 MB; needs the right to mount."""
  place = tmp_path / 'disk'
  place.mkdir()
  mount = ['mount', '-t', 'tmpfs', '-o', 'size=32m', 'tmpfs', str(place)]
  if subprocess.run(mount, capture_output=True).returncode:
    pytest.skip('needs the right to mount')
  yield place
  subprocess.run(['umount', '-l', str(place)], check=True)


def test_fault_06_a_full_disk_is_survived(records, trained, small_disk, capsys):
  workdir = shutil.copytree(trained, small_disk / 'w')
  free = shutil.disk_usage(small_disk).free
  (small_disk / 'ballast').write_bytes(bytes(free - 300_000))
  longer = arguments(records, workdir, '--config.steps=9')
  process = run(longer)
  _, text = process.communicate(timeout=900)
  assert process.returncode == 1, text
  assert 'Traceback' not in text
  line = next(line for line in text.splitlines() if line.startswith('gmtalker: '))
  assert 'step 9 was not saved in ' in line
  assert 'No space left on device); the newest is step 4; ' in line
  for step in (6, 8):  # reported at that step, and never as the newest
    assert f'step {step} was not saved' in text
  assert steps.find(workdir / 'checkpoints') == [4, 2]
  assert not list((workdir / 'checkpoints').glob('*tmp*'))
  (small_disk / 'ballast').unlink()
  assert main(longer) == 0
  assert main(['checkpoint', 'verify', str(workdir)]) == 0
  assert capsys.readouterr().out.startswith(f'{workdir}: test/')
  assert steps.find(workdir / 'checkpoints')[0] == 9


def test_fault_23_a_workdir_that_cannot_be_written_is_one_line(records, workdir):
  mount = ['mount', '-t', 'tmpfs', '-o', 'ro,size=1m', 'tmpfs', str(workdir / 'checkpoints')]
  if subprocess.run(mount, capture_output=True).returncode:
    pytest.skip('needs the right to mount')
  try:
    process = run(arguments(records, workdir / 'checkpoints' / 'deeper'))
    _, text = process.communicate(timeout=600)
  finally:
    subprocess.run(['umount', '-l', str(workdir / 'checkpoints')], check=True)
  assert process.returncode == 2, text
  assert 'Traceback' not in text
  assert 'Read-only file system' in text.splitlines()[-1]


@pytest.mark.parametrize(('number', 'code'), [(signal.SIGTERM, 75), (signal.SIGUSR1, 76)])
def test_fault_02_a_signal_saves_the_step_and_has_a_code_of_its_own(
  records, tmp_path, number, code
):
  workdir = tmp_path / 'w'
  process = run(arguments(records, workdir, '--config.steps=100000', '--config.save_every=0'))
  deadline = time.monotonic() + 300
  while not (workdir / writers.METRICS).is_file() or not writers.read_metrics(workdir):
    assert process.poll() is None, process.stderr.read()
    assert time.monotonic() < deadline
    time.sleep(0.1)
  process.send_signal(number)
  _, text = process.communicate(timeout=120)
  assert process.returncode == code, text
  newest = steps.find(workdir / 'checkpoints')[0]
  assert f'gmtalker: stopped at step {newest}, which is saved' in text
  steps.verify(workdir / 'checkpoints' / str(newest))
