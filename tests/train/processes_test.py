"""Two real processes of four devices train as one process of eight does, and as one device does."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import toy_records
from flax import struct

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data.batches import InOrder
from gmtalker_jax.io import writers
from gmtalker_jax.train import processes

ROOT = Path(__file__).parents[2]
# Sums of float32 over 8 devices are added in another order than over one.
RTOL = 2e-4
EXTRA = {
  'expression': (),
  'motion': (),
  'portrait': ('--config.model.zgm_injection=none', '--config.data.subject=M001'),
}


@pytest.fixture(scope='module')
def records(tmp_path_factory):
  out = tmp_path_factory.mktemp('records')
  toy_records.write(out)
  return out


def command(stage, records, workdir, step_count, *more):
  return [
    sys.executable, '-m', 'gmtalker_jax.cli.main', 'train', f'--config=configs/{stage}.py:smoke',
    f'--workdir={workdir}', f'--config.data.records={records}', f'--config.steps={step_count}',
    f'--config.save_every={step_count}', '--config.data.batch_size=8',
    *EXTRA[stage], *more,
  ]  # fmt: skip


def begin(words, devices):
  flags = f'--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0'
  env = {**os.environ, 'XLA_FLAGS': flags, 'JAX_PLATFORMS': 'cpu'}
  return subprocess.Popen(
    words, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
  )


def together(words, count=2, devices=4, timeout=30):
  """The same command, as several processes."""
  with socket.socket() as probe:
    probe.bind(('127.0.0.1', 0))
    port = probe.getsockname()[1]
  return [
    begin([*words, f'--coordinator=127.0.0.1:{port}', f'--process-id={i}', f'--processes={count}',
           f'--peer-timeout={timeout}'], devices)
    for i in range(count)
  ]  # fmt: skip


def end(process, timeout=900):
  _, said = process.communicate(timeout=timeout)
  return process.returncode, said


def losses(workdir):
  return [r['train/generator/loss'] for r in writers.read_metrics(workdir)
          if 'train/generator/loss' in r]  # fmt: skip


@pytest.mark.prove
@pytest.mark.parametrize('stage', ['expression', 'motion', 'portrait'])
def test_two_processes_learn_what_one_does(stage, records, tmp_path):
  for name, devices in (('one', 1), ('eight', 8)):
    code, said = end(begin(command(stage, records, tmp_path / name, 20), devices))
    assert code == 0, said
  both = together(command(stage, records, tmp_path / 'two', 20))
  for process in both:
    code, said = end(process)
    assert code == 0, said
  one = losses(tmp_path / 'one')
  assert len(one) == 20
  np.testing.assert_allclose(losses(tmp_path / 'eight'), one, rtol=RTOL)
  np.testing.assert_allclose(losses(tmp_path / 'two'), one, rtol=RTOL)
  final = [json.loads((tmp_path / n / 'final.json').read_text()) for n in ('one', 'two')]
  for name, value in final[0].items():
    if name.startswith('test/'):
      assert final[1][name] == pytest.approx(value, rel=5e-3, abs=1e-4), name


@pytest.mark.prove
@pytest.mark.parametrize('mesh', ['1x8', '4x2'])
def test_two_processes_share_one_state(mesh, records, tmp_path):
  wide = ['--config.model.width=128']  # smaller arrays are copied
  code, said = end(begin(command('motion', records, tmp_path / 'one', 20, *wide), 1))
  assert code == 0, said
  shared = command('motion', records, tmp_path / 'two', 20, *wide, f'--config.mesh={mesh}')
  for process in together(shared):
    code, said = end(process)
    assert code == 0, said
  one, two = losses(tmp_path / 'one'), losses(tmp_path / 'two')
  assert len(one) == 20
  np.testing.assert_allclose(two, one, rtol=RTOL)
  # and one process goes on from what they saved
  code, said = end(begin(command('motion', records, tmp_path / 'two', 22, *wide), 8))
  assert code == 0, said
  assert len(losses(tmp_path / 'two')) == 22


@pytest.mark.prove
def test_fault_11_each_of_two_processes_keeps_its_part_of_what_broke(records, tmp_path):
  words = command(
    'motion', records, tmp_path, 9, '--config.model.width=128', '--config.mesh=1x8',
    '--config.optimizers.generator.rate=1e38', '--config.faults.skips=1',
    '--config.faults.rollbacks=0',
  )  # fmt: skip
  for process in together(words):
    code, said = end(process)
    assert code == 1, said
    assert 'Traceback' not in said
  first = min(int(path.stem) for path in (tmp_path / 'faults').glob('*.json'))
  parts = [np.load(tmp_path / 'faults' / f'{first}{of}.npz') for of in ('', '.process-1')]
  seen: dict[str, list] = {}
  for name, array in ((n, p[n]) for p in parts for n in p.files if n.startswith('state.params')):
    assert np.isfinite(array).all()
    seen.setdefault(name.partition('@')[0], []).append(array)
  cut = {name: arrays for name, arrays in seen.items() if len(arrays) > 1}
  assert {len(arrays) for arrays in cut.values()} == {8}  # of each, all eight parts
  assert [len(p['batch.motion']) for p in parts] == [4, 4]
  assert not (tmp_path / 'checkpoints' / '2').exists()


def test_an_evaluation_is_shared_row_by_row():
  whole, example = list(range(11)), lambda i, rng: _Row(np.float32(i), np.ones(1, np.float32))
  parts = [InOrder(whole, example, 4, process=(k, 2)) for k in range(2)]
  alone = InOrder(whole, example, 4, process=(0, 1))
  for i in range(3):
    found = [np.concatenate(x) for x in zip(*((p[i].x, p[i].mask) for p in parts), strict=True)]
    np.testing.assert_array_equal(found[0], alone[i].x)
    np.testing.assert_array_equal(found[1], alone[i].mask)


@struct.dataclass
class _Row:
  x: np.ndarray
  mask: np.ndarray


@pytest.mark.parametrize(
  ('environment', 'found'),
  [
    ({'SLURM_NTASKS': '4', 'SLURM_PROCID': '1'}, 'SLURM'),
    ({'SLURM_NTASKS': '1', 'SLURM_PROCID': '0'}, ''),
    ({'KUBERNETES_SERVICE_HOST': 'h', 'JOB_COMPLETION_INDEX': '0'}, 'Kubernetes'),
    ({'OMPI_COMM_WORLD_SIZE': '2'}, 'Open MPI'),
    ({}, ''),
  ],
)
def test_a_cluster_is_known_by_what_it_sets(environment, found):
  assert processes.cluster({'JAX_PLATFORMS': 'cpu', **environment}) == found


@pytest.mark.parametrize('given', [('h:1', None, None), ('', 0, 2), ('h:1', 2, 2)])
def test_half_a_group_is_one_line(given):
  with pytest.raises(InputError, match='expected'):
    processes.join(*given)
