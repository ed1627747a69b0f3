"""Ready BFM coefficients, made up: to records, through a training, onto a head."""

import json
from pathlib import Path

import made_up_faces
import numpy as np
import pytest

from data_pipelines import coefficients, sources
from gmtalker_jax.cli import main
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema, source, statistics
from gmtalker_jax.face import bfm
from gmtalker_jax.io import audio, heads, video
from gmtalker_jax.io import workdir as workdirs

sio = pytest.importorskip('scipy.io')
REPOSITORY = Path(__file__).parents[2]
NAMES = [f'M030_front_{e}_level{1 if e == "neutral" else 3}_001' for e in schema.EMOTIONS]


@pytest.fixture(scope='module')
def made(tmp_path_factory):
  """A head, a folder of eight clips of 30 frames, two with sound, and its records."""
  root = tmp_path_factory.mktemp('bfm')
  head, clips = str(root / 'BFM_model_front.mat'), root / 'clips'
  sio.savemat(head, made_up_faces.bfm((4, 20)))
  clips.mkdir()
  for seed, name in enumerate(NAMES):
    sio.savemat(clips / f'{name}.mat', {'coeff': made_up_faces.bfm_coefficients(30, seed)})
    if seed < 2:
      loud = np.random.default_rng(seed).normal(size=30 * 640).astype(np.float32)
      audio.write(clips / f'{name}.wav', 0.1 * loud)
  argv = ['prepare', 'bfm', str(clips), '--head', head, '--encoder', 'logmel']
  assert main.main([*argv, '--silence', '--out', str(root / 'r')]) == 0
  return head, clips, root / 'r'


def test_coefficients_become_records(made):
  head, _, out = made
  report = json.loads((out / 'report.json').read_text())
  assert [clip['emotion'] for clip in report['accepted']] == sorted(schema.EMOTIONS)
  assert sum('no sound' in ' '.join(clip['notes']) for clip in report['accepted']) == 6
  found = {}
  for split in ('train', 'test'):
    opened = source.open_records(out, split)
    found |= {opened[i]['id']: opened[i] for i in range(len(opened))}
  record = found['M030_front_contempt_3_001']
  model = heads.load(head)
  _, person, motion = bfm.read(model, made_up_faces.bfm_coefficients(30, 1))
  assert (record['layout'], record['subject'], record['level']) == ('bfm', 'M030', 3)
  np.testing.assert_allclose(record['expression'], motion.expression, atol=1e-6)
  np.testing.assert_allclose(record['motion'], motion.motion, atol=1e-6)
  np.testing.assert_allclose(record['identity'], person.identity, atol=1e-6)
  assert record['speech'].std() > 0.1  # it has been heard


def test_they_are_trained_on_and_shown_beside_what_was_learnt(made, tmp_path, monkeypatch):
  head, _, out = made
  monkeypatch.chdir(REPOSITORY)
  workdir, film = str(tmp_path / 'w'), tmp_path / 'f.mp4'
  argv = ['train', '--config=configs/expression.py:smoke', f'--workdir={workdir}']
  assert main.main([*argv, f'--config.data.records={out}']) == 0
  trained = workdirs.read_inference(workdir)
  assert (trained.step, trained.about.layout) == (4, 'bfm')
  assert trained.model['expression_dim'] == 64
  argv = ['render', '--records', str(out), '--split', 'test', '--head', head, '--size', '64']
  assert main.main([*argv, '--expression', workdir, '--seconds', '0.4', '--out', str(film)]) == 0
  frames = np.stack(list(video.stream(film)))
  assert frames.shape == (10, 64, 128, 3)
  recorded, drawn = np.split(frames.astype(float), 2, 2)
  assert recorded.std() > 20 < drawn.std()
  assert np.abs(recorded - drawn).mean() > 0.5
  # The same talk on the built-in head, or with its weights, is refused.
  argv = ['render', '--records', str(out), '--split', 'test', '--out', str(tmp_path / 'g.mp4')]
  assert main.main(argv) == 2


def test_frame_rates_become_25(made, tmp_path):
  head = made[0]
  (tmp_path / 'c').mkdir()
  coeff = made_up_faces.bfm_coefficients(1) * np.ones((36, 1), np.float32)
  coeff[:, 254] = np.arange(36) / 30  # x is the time
  sio.savemat(tmp_path / 'c' / 'a.mat', {'coeff': coeff})
  out = tmp_path / 'r'
  coefficients.prepare(tmp_path / 'c', out, head, encoder='logmel', fps=30, silence=True)
  record = source.open_records(out, 'train')[0]
  assert (len(record['motion']), record['subject'], record['emotion']) == (30, 'c', '')
  np.testing.assert_allclose(
    record['motion'][:, 3] * heads.load(head).unit, np.arange(30) / 25, atol=1e-5
  )


def test_what_cannot_be_used_has_a_reason(made, tmp_path):
  head, clips, _ = made
  folder = tmp_path / 'c'
  folder.mkdir()
  coeff = made_up_faces.bfm_coefficients(20)
  sio.savemat(folder / 'short.mat', {'coeff': coeff[:3]})
  sio.savemat(folder / 'other.mat', {'coeff': coeff[:, :100]})
  (folder / 'damaged.mat').write_bytes(b'nothing')
  sio.savemat(folder / 'silent.mat', {'coeff': coeff})
  sio.savemat(folder / 'M030_front_hapy_level3_001.mat', {'coeff': coeff})
  made_report = coefficients.prepare(folder, tmp_path / 'r', head, encoder='logmel')
  assert {clip['id']: clip['code'] for clip in made_report['rejected']} == {
    'short': 'no_sound', 'other': 'bad_coefficients', 'damaged': 'bad_coefficients',
    'silent': 'no_sound',
  }  # fmt: skip
  assert "did you mean 'happy'" in made_report['problems'][0]['reason']
  again = coefficients.prepare(folder, tmp_path / 's', head, encoder='logmel', silence=True)
  assert {clip['id'] for clip in again['accepted']} == {'silent'}
  with pytest.raises(InputError, match='expected BFM_model_front'):
    coefficients.prepare(clips, tmp_path / 't', 'builtin', encoder='logmel')
  with pytest.raises(InputError, match='expected coefficients'):
    sources.bfm(tmp_path / 'r')
  for argv in (
    ['bfm', str(clips), '--out', 'x'],
    ['folder', str(clips), '--head', head, '--out', 'x'],
  ):
    assert main.main(['prepare', *argv]) == 2


def test_a_training_goes_on_with_other_coefficients_of_six_motions(made):
  """Where a head rests is taken from the new records in every layout."""
  found = source.open_records(made[2], 'train').statistics
  shifted = found._replace(motion=found.motion._replace(mean=found.motion.mean + 3))
  np.testing.assert_allclose(found.moved_to(shifted).motion.mean, shifted.motion.mean)
  assert len(statistics.from_json(found.to_json()).motion.mean) == 6
