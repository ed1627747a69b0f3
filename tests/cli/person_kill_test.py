"""`gmtalker person` is killed at random moments, started again, and ends with the same talker."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tiny_talker

from gmtalker_jax.data import schema
from gmtalker_jax.face import render
from gmtalker_jax.face.person import Person
from gmtalker_jax.inference import bundling
from gmtalker_jax.io import audio, bundles, files, video
from gmtalker_jax.io.heads import load_head
from gmtalker_jax.stages import STAGES
from gmtalker_jax.types import Coefficients

KILLS = 5


@pytest.mark.prove
@pytest.mark.timeout(3 * 3600)
def test_five_kills_change_nothing(tmp_path):
  film = tmp_path / 'ann.mp4'
  _film(film)
  bundling.save(tiny_talker.talker(), tmp_path / 'origin', {}, 'float32')
  started = time.monotonic()
  assert _start(tmp_path, 'unbroken').wait() == 0
  seconds = time.monotonic() - started
  moment = random.Random(0)
  killed = 0
  while killed < KILLS:
    process = _start(tmp_path, 'killed')
    try:
      # A step that is done is not done again, so each start gets further.
      code = process.wait(moment.uniform(0.1, 0.35) * seconds)
      assert code == 0
      break
    except subprocess.TimeoutExpired:
      os.killpg(process.pid, signal.SIGKILL)  # the step that runs, too
      process.wait()
      killed += 1
  assert killed >= 3
  assert _start(tmp_path, 'killed').wait() == 0
  one, other = (
    bundles.load(str(tmp_path / name / 'talker'), tuple(STAGES)) for name in ('unbroken', 'killed')
  )
  assert one.description == other.description
  for stage in STAGES:
    for key, value in one.tensors[stage].items():
      np.testing.assert_array_equal(value, other.tensors[stage][key], err_msg=f'{stage} {key}')
  numbers = [files.read_json(tmp_path / n / 'metrics.json') for n in ('unbroken', 'killed')]
  for found in numbers:
    assert set(found.pop('seconds')) >= {'records', 'bundle', 'evaluate'}
  assert numbers[0] == numbers[1]


def _start(folder, name):
  command = [
    sys.executable, '-m', 'gmtalker_jax.cli.main', 'person', str(folder / 'ann.mp4'), '--out',
    str(folder / name), '--from', str(folder / 'origin'), '--preset', 'smoke', '--name', 'Ann',
  ]  # fmt: skip
  env = {k: v for k, v in os.environ.items() if k != 'XLA_FLAGS'}
  return subprocess.Popen(command, env=env, start_new_session=True)


def _film(path):
  """Eighteen seconds of the built-in head."""
  span = 45
  expression, motion = np.zeros((span, 50), np.float32), np.zeros((span, 12), np.float32)
  phase = np.arange(span) * 2 * np.pi / span
  expression[:, schema.EXPRESSION_NAMES.index('jawOpen')] = 0.3 - 0.3 * np.cos(5 * phase)
  motion[:, 1] = 0.15 * np.sin(phase)
  made = Coefficients(expression, motion)
  frames = render.render_frames(load_head(), Person.plain(np.zeros(80)), made, 160, span)
  frames = np.where(frames.max(-1, keepdims=True) > 0, frames, 110).astype(np.uint8)
  t = np.arange(10 * span * schema.SAMPLES_PER_FRAME) / schema.SAMPLE_RATE
  wave = (0.3 * np.sin(2 * np.pi * 140 * t) * np.sin(9 * t) ** 2).astype(np.float32)
  video.write(path, np.concatenate([frames] * 10), wave)
  assert len(audio.read(path)) >= len(wave) - 1024
