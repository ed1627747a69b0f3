"""`gmtalker export` and `import` as a person runs them; the folder is used without JAX."""

import json
import os
import re
import shlex
import subprocess
import sys

import cv2
import numpy as np
import pytest
import soundfile
import tiny_talker
import torch

from gmtalker_jax.cli.main import main
from gmtalker_jax.data import schema
from gmtalker_jax.export import exporting, graphs
from gmtalker_jax.export.gmtalker_torch import media as twin_media
from gmtalker_jax.export.gmtalker_torch.talker import Talker as Twin
from gmtalker_jax.inference import bundling, speak, timeline
from gmtalker_jax.inference import talker as talkers
from gmtalker_jax.io import audio
from gmtalker_jax.stages import STAGES

PROVENANCE = {name: {'step': 7, 'config': {'ema_decay': 0.9}} for name in STAGES}
# Put before a command in the folder: whatever is not in its requirements.txt is not there.
_ALONE = """\
import sys, runpy
class Nowhere:
  def find_spec(self, name, path=None, target=None):
    if name.split('.')[0] in {'jax', 'jaxlib', 'flax', 'optax', 'orbax', 'gmtalker_jax', 'onnx',
                              'onnxruntime', 'cv2', 'scipy', 'soundfile', 'av'}:
      raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nowhere())
sys.path.insert(0, '.')
"""


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  root = tmp_path_factory.mktemp('export')
  bundling.save(tiny_talker.talker(), root / 'talker', PROVENANCE, 'float16')
  audio.write(root / 'voice.wav', exporting.hum(1.5))
  assert main(['export', '--talker', str(root / 'talker'), '--out', str(root / 'exported')]) == 0
  return root


def alone(folder, code):
  environment = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
  environment['OMP_NUM_THREADS'] = '1'  # the networks are tiny, and other tests run beside them
  return subprocess.run(
    [sys.executable, '-c', _ALONE + code], cwd=folder, capture_output=True, text=True,
    env=environment,
  )  # fmt: skip


def run_module(folder, words):
  code = f'sys.argv = {["gmtalker_torch", *words]!r}\n'
  return alone(folder, f"{code}runpy.run_module('gmtalker_torch', run_name='__main__')")


def test_the_folder_checks_itself_without_jax(folder):
  done = run_module(folder / 'exported', ['--check'])
  assert done.returncode == 0, done.stdout + done.stderr
  assert [line.split()[0] for line in done.stdout.splitlines()] == ['ok'] * 6


def test_the_folder_says_the_same_as_the_talker(folder):
  code = """
import numpy, gmtalker_torch
talk = gmtalker_torch.load().speak('../voice.wav', '0:happy 0.3:sad@0.5', seed=4)
numpy.savez('../said.npz', expression=talk.expression, motion=talk.motion,
            frames=numpy.stack(list(talk.frames)))
"""
  done = alone(folder / 'exported', code)
  assert done.returncode == 0, done.stderr
  said = np.load(folder / 'said.npz')
  wave = audio.read(folder / 'voice.wav')
  track = timeline.parse('0:happy 0.3:sad@0.5', 1.0, schema.frame_count(len(wave)))
  talk = speak.speak(talkers.load(str(folder / 'talker')), wave, track, 4)
  np.testing.assert_allclose(said['expression'], talk.coefficients.expression, atol=1e-4)
  np.testing.assert_allclose(said['motion'], talk.coefficients.motion, atol=1e-4)
  frames = np.stack(list(talk.frames))
  assert frames.std() > 5
  assert np.abs(said['frames'].astype(int) - frames).mean() <= 1  # of 255


def test_every_command_and_block_of_python_of_the_card_runs(folder, tmp_path):
  """In a copy, without JAX; av is hidden too, so the film becomes pictures."""
  place = tmp_path / 'exported'
  place.mkdir()
  for entry in (folder / 'exported').iterdir():
    (place / entry.name).symlink_to(entry)
  (place / 'voice.wav').write_bytes((folder / 'voice.wav').read_bytes())
  page = (place / 'README.md').read_text()
  (commands,) = re.findall(r'```sh\n(.+?)```', page, re.S)
  (code,) = re.findall(r'```python\n(.+?)```', page, re.S)
  install, *rest = commands.splitlines()
  assert install == 'pip install -r requirements.txt'
  assert len(rest) == 3
  for command in rest:
    words = shlex.split(command)
    assert words[:3] == ['python', '-m', 'gmtalker_torch']
    done = run_module(place, [word.replace('talk.mp4', 'film') for word in words[3:]])
    assert done.returncode == 0, done.stderr
  pictures = sorted((place / 'film').iterdir())
  assert len(pictures) == 38
  assert cv2.imread(str(pictures[0])).shape == (64, 64, 3)
  done = alone(place, code)
  assert done.returncode == 0, done.stderr
  assert done.stdout == '(38, 50) (38, 12)\n'


def test_a_film_without_av_is_refused_with_one_line(folder):
  done = run_module(folder / 'exported', ['../voice.wav', '--out', '../film.mp4'])
  assert done.returncode == 2
  assert done.stderr.count('\n') == 1
  assert 'pip install av' in done.stderr


def test_the_report_has_every_layer_and_the_card_which_weights(folder):
  report = json.loads((folder / 'exported' / 'parity.json').read_text())
  assert report['verified']
  assert len(report['layers']) > 150
  assert {layer['name'].split('.')[0] for layer in report['layers']} == set(STAGES)
  assert max(layer['relative'] for layer in report['layers']) < 1e-4
  page = (folder / 'exported' / 'README.md').read_text()
  assert re.search(r'\| motion \| moving average \| 0.9 \| 7 \| [\d,]+ \|', page)


def test_a_talker_comes_back_bit_for_bit(folder):
  assert main(['import', '--from', str(folder / 'exported'), '--out', str(folder / 'back')]) == 0
  before, after = (talkers.load(str(folder / name)) for name in ('talker', 'back'))
  for name in STAGES:
    ours, theirs = (
      exporting.state(getattr(before, name).params),
      exporting.state(getattr(after, name).params),
    )
    assert ours.keys() == theirs.keys()
    assert all(ours[key].tobytes() == theirs[key].tobytes() for key in ours)
  assert bundling.describe(before) == bundling.describe(after)
  assert main(['export', '--talker', str(folder / 'back'), '--out', str(folder / 'again')]) == 0
  for name in ('expression', 'motion', 'portrait', 'head', 'golden'):
    one, two = ((folder / f / f'{name}.safetensors').read_bytes() for f in ('exported', 'again'))
    assert one == two


def test_what_was_trained_in_pytorch_comes_back(folder):
  code = """
import shutil, torch, gmtalker_torch
shutil.copytree('.', '../tuned')
talker = gmtalker_torch.load('../tuned')
with torch.no_grad():
  talker.motion.latent_in.weight[1, 2] += 0.5
gmtalker_torch.save(talker, '../tuned')
"""
  done = alone(folder / 'exported', code)
  assert done.returncode == 0, done.stderr
  assert main(['import', '--from', str(folder / 'tuned'), '--out', str(folder / 'mine')]) == 0
  before, after = (talkers.load(str(folder / name)) for name in ('talker', 'mine'))
  change = np.asarray(after.motion.params['latent_in']['kernel']) - np.asarray(
    before.motion.params['latent_in']['kernel']
  )
  assert np.argwhere(change).tolist() == [[2, 1]]


def test_an_output_that_holds_something_else_is_left_alone(folder, capsys):
  (folder / 'diary').mkdir()
  (folder / 'diary' / 'diary.txt').write_text('mine')
  words = ['export', '--talker', str(folder / 'talker'), '--out', str(folder / 'diary')]
  assert main(words) == 2
  assert 'choose another --out' in capsys.readouterr().err
  assert (folder / 'diary' / 'diary.txt').read_text() == 'mine'


@pytest.mark.parametrize('encoder', ['hubert-base', 'causal:logmel+hubert-large'])
def test_a_talker_that_hears_through_HuBERT_is_refused_with_one_line(tmp_path, capsys, encoder):
  bundling.save(tiny_talker.talker(encoder), tmp_path / 'talker', PROVENANCE, 'float16')
  assert main(['export', '--talker', str(tmp_path / 'talker'), '--out', str(tmp_path / 'to')]) == 2
  error = capsys.readouterr().err
  assert error.count('\n') == 1
  assert encoder.rpartition('+')[2] in error
  assert '--encoder logmel+embedding' in error
  assert not (tmp_path / 'to').exists()


@pytest.mark.parametrize('rate', [8_000, 44_100, 48_000, 47_999])
def test_sound_of_any_rate_is_brought_to_16_kHz(rate, tmp_path):
  tone = lambda hz: 0.5 * np.sin(2 * np.pi * 440 * np.arange(hz) / hz)  # noqa: E731
  soundfile.write(tmp_path / 'f.wav', tone(rate), rate, subtype='PCM_24')
  made = twin_media.read_wav(tmp_path / 'f.wav')
  assert len(made) == 16_000
  np.testing.assert_allclose(made[200:-200], tone(16_000)[200:-200], atol=2e-3)


@pytest.mark.parametrize('name', ['motion_flow'])  # the others take a minute: see below
def test_a_graph_for_onnxruntime_computes_the_same_at_any_length(folder, tmp_path, name):
  twin, path = Twin(folder / 'exported'), tmp_path / f'{name}.onnx'
  (graph,) = (one for one in graphs.graphs(twin) if one.name == name)
  assert graphs.write_one(path, graph).passed
  for frames in (8, 28):
    (graph,) = (one for one in graphs.graphs(twin, frames) if one.name == name)
    assert graphs.compare(path, graph).passed
    with torch.no_grad():
      graph.network.motion.conditioners[1].head.bias.add_(0.3)
    assert not graphs.compare(path, graph).passed
    twin = Twin(folder / 'exported')


@pytest.mark.prove
def test_graphs_for_onnxruntime_compute_the_same_at_any_length(folder):
  words = ['export', '--talker', str(folder / 'talker'), '--out', str(folder / 'graphs'), '--onnx']
  assert main(words) == 0
  report = json.loads((folder / 'graphs' / 'parity.json').read_text())
  names = [layer['name'] for layer in report['layers'] if layer['name'].startswith('onnx.')]
  assert names == [
    f'onnx.{n}' for n in ('expression_decoder', 'motion_decoder', 'motion_flow', 'portrait')
  ]
  for frames, batch in ((4, 1), (28, 3)):
    for graph in graphs.graphs(Twin(folder / 'graphs'), frames, batch):
      layer = graphs.compare(folder / 'graphs' / 'onnx' / f'{graph.name}.onnx', graph)
      assert layer.passed, layer
  assert '`onnx/`' in (folder / 'graphs' / 'README.md').read_text()


@pytest.mark.prove
def test_the_built_in_talker_in_a_venv_of_torch_alone(tmp_path):
  """A real venv with what requirements.txt names but av; exporting takes a minute at most."""
  assert main(['export', '--out', str(tmp_path / 'exported')]) == 0
  subprocess.run([sys.executable, '-m', 'venv', str(tmp_path / 'venv')], check=True)
  python = str(tmp_path / 'venv' / 'bin' / 'python')
  wanted = ['torch==2.13.0', 'numpy', 'safetensors']
  subprocess.run([python, '-m', 'pip', 'install', '--quiet', *wanted], check=True)
  environment = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
  done = subprocess.run(
    [python, '-c', 'import jax'], capture_output=True, env=environment
  )  # fmt: skip
  assert done.returncode == 1
  done = subprocess.run(
    [python, '-m', 'gmtalker_torch', '--check'], cwd=tmp_path / 'exported', capture_output=True,
    text=True, env=environment,
  )  # fmt: skip
  print(done.stdout)  # noqa: T201
  assert done.returncode == 0, done.stdout + done.stderr
