"""The plan of a pod says what the training itself would: same batch, same bytes."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import pytest
import toy_records

from configs import expression, motion, portrait
from gmtalker_jax.cli.main import main
from gmtalker_jax.core import sharding, topology
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import batches
from gmtalker_jax.stages import STAGES as STAGE_SPECS
from gmtalker_jax.train import examples, plan, programs, run

SIZES = {
  'speech_dim': toy_records.SPEECH_DIM,
  'expression_dim': 50,
  'motion_dim': 12,
  'subjects': 3,
  'latent_dim': 1,
}
GPU = 'gpu:8,memory=1e9,flops=1e12,bandwidth=1e11,link=1e10'
STAGES = {'expression': expression, 'motion': motion, 'portrait': portrait}
TOO_LARGE = """
import sys
from gmtalker_jax.cli import plan as command
command._begin(sys.argv[1:])
import jax
from gmtalker_jax.core import topology
from gmtalker_jax.train import plan
for name in sys.argv[1:]:
  place = jax.sharding.SingleDeviceSharding(topology.find(name).devices[0])
  x = jax.ShapeDtypeStruct((12_000, 2**23), 'float32', sharding=place)
  try:
    jax.jit(lambda x: x + 1).trace(x).lower(lowering_platforms=('tpu',)).compile()
  except jax.errors.JaxRuntimeError as error:
    print(plan._needed(str(error)))
"""
needs_libtpu = pytest.mark.skipif(
  importlib.util.find_spec('libtpu') is None,
  reason="the compiler for TPUs is not installed: pip install '.[plan]'",
)


def smoke(stage, **changes):
  config = STAGES[stage].get_config('smoke')
  if stage == 'portrait':
    config.model.zgm_injection = 'none'
  config.update_from_flattened_dict(changes)
  return config


@pytest.fixture(scope='module')
def records(tmp_path_factory):
  out = tmp_path_factory.mktemp('records')
  toy_records.write(out)
  return str(out)


@pytest.mark.parametrize('stage', STAGES)
def test_its_batch_is_the_batch_of_records(stage, records):
  settings = run.read(smoke(stage, **{'data.records': records}))
  found = examples.of(stage).open_examples(settings)
  real = batches.Batches(found.train, found.example, 8, 0, found.groups)[0]
  planned = plan.abstract_batch(settings, {**SIZES, **found.sizes}, 8)
  shape = lambda x: (x.shape, x.dtype)  # noqa: E731
  assert jax.tree.map(shape, planned) == jax.tree.map(shape, real)


@pytest.mark.parametrize('fsdp', [False, True])
def test_its_bytes_are_those_of_the_live_state(fsdp, monkeypatch):
  monkeypatch.setattr(sharding, 'SMALLEST', 2**10)  # this network is small
  settings, mesh = run.read(smoke('motion')), sharding.make_mesh(shape='1xall' if fsdp else 'all')
  spec = STAGE_SPECS['motion']
  stage = run.make_stage(settings, {**settings.model, **{k: SIZES[k] for k in spec.sizes}})
  like = programs.abstract_state(stage, plan.abstract_batch(settings, SIZES, 8), 0, mesh)
  live = programs.first_state(stage, plan.abstract_batch(settings, SIZES, 8), 0, like)
  for planned, real in zip(
    (like.params, like.opt_state, like.ema), (live.params, live.opt_state, live.ema), strict=True
  ):
    assert plan.bytes_per_device(planned) == _on_one_device(real)
  whole = sum(x.nbytes for x in jax.tree.leaves(live.params))
  assert (_on_one_device(live.params) < whole) == fsdp


@pytest.mark.parametrize('stage', ['expression', 'portrait'])
def test_the_bytes_of_the_other_stages_are_those_of_the_live_state(stage):
  settings, mesh = run.read(smoke(stage)), sharding.make_mesh(jax.devices()[:1])
  spec = STAGE_SPECS[stage]
  made = run.make_stage(settings, {**settings.model, **{k: SIZES[k] for k in spec.sizes}})
  batch = plan.abstract_batch(settings, SIZES, 8)
  like = programs.abstract_state(made, batch, 0, mesh)
  live = programs.first_state(made, batch, 0, like)
  for name in ('params', 'opt_state', 'ema'):
    assert plan.bytes_per_device(getattr(like, name)) == _on_one_device(getattr(live, name)) > 0


def _on_one_device(tree):
  shards = [x.addressable_shards[0].data for x in jax.tree.leaves(tree)]
  return sum(shard.nbytes for shard in shards)


@needs_libtpu
@pytest.mark.parametrize('effort', [[], ['--fast']])
def test_a_tpu_that_is_not_here_is_planned(tmp_path, effort):
  out = tmp_path / 'plan.json'
  command = [
    'plan', '--config=configs/motion.py:smoke', '--topology=v5e:2x2', '--quick', '--json', str(out),
    '--where', '3', *effort,
  ]  # fmt: skip
  done = subprocess.run(
    [sys.executable, '-m', 'gmtalker_jax.cli.main', *command],
    cwd=Path(__file__).parents[2], capture_output=True, text=True,
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  (found,) = json.loads(out.read_text())
  assert found['chips'] == 4
  assert found['exact']
  assert found['fits']
  assert found['flops'] > 0
  assert found['collectives']['all-reduce'] > 0
  assert 0 < found['memory traffic bytes'] == sum(found['traffic by part'].values())
  assert done.stdout.count(' MB  ') == 3  # the operations that move the most
  assert '| fits ' in done.stdout
  assert ('are estimates' in done.stdout) == bool(effort)


@needs_libtpu
def test_fast_reaches_the_compiler():
  """An environment variable would not: JAX has been imported by then."""
  code = (
    'from gmtalker_jax.cli import plan; plan._begin(["v5e:2x2"], fast=True); import jax; '
    'print(jax.config.jax_exec_time_optimization_effort, jax.config.jax_memory_fitting_effort)'
  )
  done = subprocess.run(
    [sys.executable, '-c', code], cwd=Path(__file__).parents[2], capture_output=True, text=True,
  )  # fmt: skip
  assert done.stdout.split() == ['-1.0', '-1.0'], done.stderr


@needs_libtpu
def test_the_memory_of_a_chip_is_what_its_compiler_has():
  """A program that is too large says how much there is."""
  names = {'v5e': 'v5e:2x2', 'v5p': 'v5p:2x2x1', 'v6e': 'v6e:2x2'}
  done = subprocess.run(
    [sys.executable, '-c', TOO_LARGE, *names.values()],
    cwd=Path(__file__).parents[2], capture_output=True, text=True,
  )  # fmt: skip
  said = done.stdout.splitlines()
  assert len(said) == len(names), done.stderr
  for kind, line in zip(names, said, strict=True):
    found = re.search(r'of (\d+\.\d+)G', line)
    assert float(found[1]) == pytest.approx(topology.CHIPS[kind].memory / 2**30, abs=0.005), line


def test_too_large_is_said_in_short():
  for message in (
    'RESOURCE_EXHAUSTED: Ran out of memory. Used 30.10G of 15.75G hbm. Exceeded hbm capacity by',
    'RESOURCE_EXHAUSTED: ... required for HLO temporaries (30.10G) exceeds available HBM (15.75G).',
  ):
    assert re.search('30.10G of 15.75G', plan._needed(message))
    assert len(plan._needed(message)) < 30


@pytest.mark.prove
@needs_libtpu
@pytest.mark.parametrize('stage', STAGES)
def test_full_size_fits_and_scales(stage, tmp_path):
  """The flops of a chip stay the same as chips are added, and what it sends stays bounded."""
  out = tmp_path / 'plan.json'
  pods = 'v5e:2x2,v5e:4x4,v5e:16x16,v5p:4x4x4,v6e:16x16'
  command = [f'--config=configs/{stage}.py', f'--topology={pods}', '--per-chip', '4', '--quick']
  done = subprocess.run(
    [sys.executable, '-m', 'gmtalker_jax.cli.main', 'plan', *command, '--json', str(out)],
    cwd=Path(__file__).parents[2], capture_output=True, text=True,
  )  # fmt: skip
  assert done.returncode == 0, done.stdout + done.stderr
  sys.stdout.write(done.stdout)
  small, middle, large, *_ = found = json.loads(out.read_text())
  assert not any(f['loops'] for f in found)  # whose bodies would count once
  assert all(f['fits'] for f in found)
  for other in (middle, large):
    assert other['flops'] == pytest.approx(small['flops'], rel=0.02)
    # A ring's all-reduce of n chips sends 2 (n - 1) / n of its bytes: 2/1.5 of what four send.
    assert other['interconnect bytes'] <= 1.4 * small['interconnect bytes']


@pytest.mark.parametrize(
  ('name', 'match'),
  [
    ('v5e', 'chips along each side'),
    ('v5e:16', 'chips along each side'),
    ('v4e:2x2', 'expected one of v5e, v5p, v6e, gpu'),
    ('gpu:8', 'expected all numbers'),
    ('gpu:8,memory=80', 'expected all numbers'),
  ],
)
def test_a_topology_that_is_none_is_one_line(name, match):
  with pytest.raises(InputError, match=match):
    topology.parse(name)


def test_a_batch_that_does_not_divide_is_one_line(capsys):
  code = main(
    ['plan', '--config=configs/motion.py', f'--topology={GPU}', '--config.data.batch_size=9']
  )
  assert code == 2
  assert 'a multiple of the 8 chips' in capsys.readouterr().err


def test_the_largest_batch_is_found_between_what_fits_and_what_does_not(monkeypatch):
  needs = lambda batch: 1_000 + 10 * batch + (50 if batch > 20 else 0)  # noqa: E731
  asked = []

  def compiled(config, topology, sizes, batch):
    asked.append(batch)
    if needs(batch) > 5_000:
      raise plan.TooLarge('much')
    return first._replace(batch=batch, memory=needs(batch))

  chip = topology.Chip(1_900, 1, 1, 1)
  first = plan.Plan('x', 'y', 8, 4, 0, 0, 0, needs(4), 0, 0, {}, 0, 0, chip)
  monkeypatch.setattr(plan, 'make', compiled)
  most = plan.largest({}, None, {}, first)
  assert needs(most) <= 1_900
  assert needs(most / 0.9) > 1_900
  assert len(asked) <= 6
  assert plan.largest({}, None, {}, first._replace(memory=2_000)) == 0


def test_flops_are_counted_without_a_compiler(tmp_path, capsys):
  """Twice the chips, each with the same examples: each is asked for the same."""
  out = tmp_path / 'plan.json'
  command = [
    'plan', '--config=configs/motion.py:smoke', '--topology=v5e:2x2,v5p:2x2x1', '--per-chip', '2',
    '--count', '--json', str(out),
  ]  # fmt: skip
  assert main(command) == 0
  assert '| Gflop as written ' in capsys.readouterr().out
  first, second = json.loads(out.read_text())
  assert first['flops as written'] == second['flops as written'] > 1e6
  assert first['step seconds, at least'] == first['flops as written'] / 197e12
