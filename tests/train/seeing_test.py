"""What a run says about its time: a traced window, MFU, and goodput over restarts."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy_loop
from jax.sharding import PartitionSpec as P

from gmtalker_jax.cli.main import main
from gmtalker_jax.core import sharding, topology
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import writers
from gmtalker_jax.train import goodput, programs
from gmtalker_jax.train.pace import Pace
from gmtalker_jax.train.profile import Profile


@pytest.mark.parametrize(('first', 'count', 'traced'), [(3, 2, 2), (5, 100, 4), (50, 1, 0)])
def test_a_window_of_steps_is_traced(first, count, traced, tmp_path):
  toy_loop.fit(tmp_path, steps=8, profile=Profile(tmp_path / 'profile', first, count))
  found = list((tmp_path / 'profile').rglob('*.xplane.pb'))
  assert len(found) == bool(traced)
  if traced:
    assert _calls(found[0], 'PjitFunction(step)') == traced


def _calls(path, name):
  """Calls in a trace; an event within another of the same name belongs to that."""
  planes = jax.profiler.ProfileData.from_file(str(path)).planes
  lines = [line for plane in planes if plane.name == '/host:CPU' for line in plane.lines]
  calls, end = 0, 0
  for event in sorted(
    (e for line in lines for e in line.events if e.name == name), key=lambda e: e.start_ns
  ):
    calls += event.start_ns >= end
    end = max(end, event.end_ns)
  return calls


@pytest.mark.parametrize('devices', [1, 8])
@pytest.mark.parametrize('mode', ['jit', 'pmap'])
def test_the_ideal_time_of_a_step_is_its_share_of_the_flops_at_the_peak(mode, devices, monkeypatch):
  monkeypatch.setitem(topology._FLOPS, 'cpu', 1e9)
  mesh = sharding.make_mesh(jax.devices()[:devices])

  def product(weights, batch):
    return batch @ weights

  step = jax.jit(product)
  if mode == 'pmap':
    specs = (P(), P(sharding.AXIS))
    step = jax.jit(jax.shard_map(product, mesh=mesh, in_specs=specs, out_specs=P(sharding.AXIS)))
  like = jax.ShapeDtypeStruct((30, 50), jnp.float32, sharding=sharding.replicated(mesh))
  batch = np.ones((16, 30), np.float32)
  found = programs.ideal_seconds(step, like, batch, mesh)
  assert found == pytest.approx(2 * 16 * 30 * 50 / devices / 1e9)


def test_an_unknown_peak_gives_no_mfu():
  assert programs.ideal_seconds(None, None, None, sharding.make_mesh()) == 0
  pace = Pace(16, 1, ideal=0.0)
  pace.step(0.0)
  pace.step(0.0)
  assert 'mfu' not in pace.take()


def test_mfu_is_reported(tmp_path, monkeypatch):
  monkeypatch.setitem(topology._FLOPS, 'cpu', 1e9)
  toy_loop.fit(tmp_path, steps=6)
  reported = [r['pace/mfu'] for r in writers.read_metrics(tmp_path) if 'pace/mfu' in r]
  assert reported
  assert all(0 < share < 1 for share in reported)


def write(folder, sessions, rows):
  for name, lines in ((writers.SESSIONS, sessions), (writers.METRICS, rows)):
    (folder / name).write_text(''.join(json.dumps(line) + '\n' for line in lines))


def test_goodput_accounts_for_every_second(tmp_path):
  """Ten steps of 2 s, killed after the eighth, gone on after the fourth a minute later."""
  pace = {'pace/step_seconds': 2.0, 'pace/data_wait_share': 0.1}
  write(
    tmp_path,
    [
      {'began': 100.0, 'opened': 105.0, 'step': 0, 'dropped': 0.0},
      {'began': 200.0, 'opened': 203.0, 'step': 4, 'dropped': 140.0},
    ],
    [
      {'step': 2, 'time': 120.0, 'pace/compile_seconds': 11.0, **pace},
      {'step': 4, 'time': 124.0, **pace},
      {'step': 4, 'time': 124.5, 'checkpoint/blocked_seconds': 0.5},
      {'step': 6, 'time': 215.0, 'pace/compile_seconds': 9.0, **pace},
      {'step': 10, 'time': 223.0, **pace},
      {'step': 10, 'time': 226.0, 'test/rec': 1.0},
    ],
  )
  found = goodput.of(tmp_path)
  made = 1 + 2 + 1 + 4  # without the first of each session, which compiles
  assert found.all == 126
  assert found.sessions == 2
  assert found.steps == pytest.approx(2 * made * 0.9 - 0.5)
  assert found.data_wait == pytest.approx(2 * made * 0.1)
  assert found.checkpoint == 0.5
  assert found.compile == 20
  assert found.start == 5 + 3
  assert found.lost == pytest.approx(140 - 124.5)
  assert found.between == 60
  assert found.goodput == found.steps / 126
  assert sum(found[2:]) == pytest.approx(126)
  assert found.rest == pytest.approx(126 - 16 - 20 - 8 - 15.5 - 60)


def test_a_real_run_that_lost_steps_says_so(tmp_path, capsys):
  toy_loop.fit(tmp_path, steps=9)
  shutil.rmtree(tmp_path / 'checkpoints' / '9')
  toy_loop.fit(tmp_path, steps=12)
  found = goodput.of(tmp_path)
  assert found.sessions == 2
  assert min(found[2:]) >= -0.01
  assert found.lost > 0
  assert found.compile > 0
  assert 0 < found.goodput < 1
  assert main(['goodput', str(tmp_path), '--json', str(tmp_path / 'out.json')]) == 0
  assert 'started 2 times, goodput ' in capsys.readouterr().out
  assert json.loads((tmp_path / 'out.json').read_text())['lost'] == found.lost


def test_a_folder_that_is_no_run_is_one_line(tmp_path):
  with pytest.raises(InputError, match='expected the --workdir'):
    goodput.of(tmp_path)
