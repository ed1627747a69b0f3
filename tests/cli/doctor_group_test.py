"""Two real processes look around and compare: who is at fault is named."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import toy_records

from gmtalker_jax.cli import doctor_group

ROOT = Path(__file__).parents[2]
FINE = {
  'host': 'a', 'versions': 'jax 1', 'code': 'c', 'config': 'd', 'devices': '4 x cpu',
  'records': '8 clips e', 'workdir': 'can be written', 'clock': '1000.0',
}  # fmt: skip


@pytest.fixture(scope='module')
def records(tmp_path_factory):
  out = tmp_path_factory.mktemp('doctor')
  toy_records.write(out / 'records', train=8, test=4, size=0)
  toy_records.write(out / 'older', train=7, test=4, size=0)
  return out


def examine(folder, *flags):
  """Runs one process for each list of flags; returns (code, stdout, stderr) of each."""
  with socket.socket() as probe:
    probe.bind(('127.0.0.1', 0))
    at = f'127.0.0.1:{probe.getsockname()[1]}'
  env = {**os.environ, 'PYTHONPATH': str(ROOT), 'JAX_PLATFORMS': 'cpu'}
  env['XLA_FLAGS'] = '--xla_force_host_platform_device_count=2'
  command = [
    sys.executable, '-m', 'gmtalker_jax.cli.main', 'doctor', '--distributed',
    '--config=configs/expression.py:smoke', '--workdir=run', '--config.data.records=records',
    f'--coordinator={at}', '--processes=2',
  ]  # fmt: skip
  both = [
    subprocess.Popen(
      [*command, f'--process-id={i}', *own],
      cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    for i, own in enumerate(flags)
  ]  # fmt: skip
  return [(*process.communicate(timeout=300), process.returncode) for process in both]


def test_two_processes_that_are_alike_are_fine(records):
  (said, errors, code), (quiet, _, other) = examine(records, [], [])
  assert code == other == 0, said + errors
  assert 'ok       processes    2 on 1 host(s)' in said
  assert 'ok       records      8 + 4 clips' in said
  assert 'ok       collective   a sum over 4 devices is right' in said
  assert 'ok       mesh         8 examples over 4 devices' in said
  assert 'all fine' in said
  assert 'ok' not in quiet


def test_other_records_and_a_workdir_that_cannot_be_written_are_named(records):
  wrong = [
    '--config.data.records=older',
    '--workdir=/proc/run',
  ]  # nobody writes there, root neither
  (said, _, code), (_, errors, other) = examine(records, [], wrong)
  assert code == other == 1
  host = socket.gethostname()
  assert f'FAULT    records      process 1 ({host}): got 7 + 4 clips ' in said
  assert ', expected 8 + 4 clips ' in said
  assert f'FAULT    workdir      process 1 ({host}): No such file or directory ' in said
  assert '/proc/run' in said
  assert 'process 0' not in said
  assert errors.count('gmtalker: ') == 2


@pytest.mark.prove
def test_a_process_that_never_comes_is_named(records):
  begun = time.monotonic()
  ((_, errors, code),) = examine(records, [])
  assert code == 78
  assert 'process 1 gave no sign for 30 s' in errors
  assert time.monotonic() - begun < 90  # of which the imports take what they take


@pytest.mark.parametrize(
  ('name', 'text', 'reason'),
  [
    ('versions', 'jax 2', 'got jax 2, expected jax 1 as in the others'),
    ('code', 'x', 'got x, expected c as in the others'),
    ('devices', '3 x cpu', 'got 3 x cpu, expected 4 x cpu as in the others'),
    ('records', 'fault: damaged', 'damaged'),
    ('clock', '1100.0', 'is +100 s from the others'),
  ],
)
def test_who_differs_from_most_is_at_fault(name, text, reason):
  reports = {i: dict(FINE, host=f'h{i}', clock=str(998.0 + i)) for i in range(5)}
  assert not doctor_group.compare(reports, 5)
  reports[3][name] = text
  (fault,) = doctor_group.compare(reports, 5)
  assert fault[:2] == (3, name)
  assert fault[2] == reason


def test_who_says_nothing_is_at_fault():
  assert doctor_group.compare({0: FINE, 2: FINE}, 3) == [(1, 'processes', 'gave no report')]
