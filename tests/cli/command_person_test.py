"""A plan for a person holds commands that exist and configs that are read."""

import json

import numpy as np
import pytest

from gmtalker_jax.cli import course, person_steps, train
from gmtalker_jax.cli.main import COMMANDS, main
from gmtalker_jax.evaluation import person_page
from gmtalker_jax.inference import bundling, talker
from gmtalker_jax.io import video
from gmtalker_jax.stages import STAGES
from gmtalker_jax.train import run


@pytest.fixture(scope='module')
def models():
  who = talker.load('builtin')
  return {name: bundling.hyperparameters(getattr(who, name).module) for name in STAGES}


@pytest.mark.parametrize('preset', person_steps.PRESETS)
def test_every_preset_is_commands_that_exist_with_configs_that_are_read(preset, models, tmp_path):
  origin = person_steps.Origin('builtin', models, 'logmel')
  steps = person_steps.steps(
    ['me.mp4'], tmp_path, person_steps.PRESETS[preset], origin, 'Ann', 'labels.csv'
  )
  assert all(step.arguments[0] in COMMANDS for step in steps)
  made = ' '.join(step.command for step in steps)
  trained = [step.arguments[1:] for step in steps if step.arguments[0] == 'train']
  assert len(trained) == len(STAGES)
  for arguments in trained:
    config, workdir = train.read_flags(arguments)
    settings = run.read(config)
    assert workdir == str(tmp_path / 'runs' / settings.stage)
    if settings.init_from:
      same = {k: v for k, v in models[settings.stage].items() if k in settings.model}
      assert {k: settings.model[k] for k in same} == same
  assert '--name Ann --emotions labels.csv' in made
  assert (
    person_steps.PRESETS[preset].size
    == run.read(train.read_flags(trained[-1])[0]).model['output_size']
  )


def test_what_was_cut_off_goes_on_and_ends_with_a_page(tmp_path, monkeypatch, capsys):
  ran = []

  def ends(step, out):
    ran.append(step.name)
    return (1 if step.name == 'bundle' and ran.count('bundle') == 1 else 0), 2.0

  monkeypatch.setattr(course, '_run', ends)
  arguments = ['person', 'me.mp4', '--out', str(tmp_path / 'out')]
  assert main(arguments) == 1
  assert ran[-1] == 'bundle'
  assert 'minutes left' in capsys.readouterr().out
  assert main(arguments) == 0
  assert len(set(ran)) == len(ran) - 1  # nothing but the failed step ran twice
  assert (tmp_path / 'out' / 'person.html').is_file()
  capsys.readouterr()
  assert main([*arguments, '--preset', 'good']) == 2
  others = (['person', 'you.mp4', *arguments[2:]], [*arguments, '--name', 'Ann'])
  for other in others:  # what follows the records would still be of those of before
    assert main(other) == 2
    assert "for the step 'records'" in capsys.readouterr().err
  assert len(set(ran)) == len(ran) - 1


def test_of_a_video_that_is_none_nothing_is_left(tmp_path, capfd):
  (tmp_path / 'me.mp4').write_bytes(b'no video')
  assert main(['person', str(tmp_path / 'me.mp4'), '--out', str(tmp_path / 'out')]) == 2
  assert 'me.mp4 that cannot be used' in capfd.readouterr().err
  assert [path.name for path in tmp_path.iterdir()] == ['me.mp4']


def test_the_page_is_one_file_with_the_figures(tmp_path):
  frames = np.full((30, 32, 64, 3), 90, np.uint8)
  for name in ('beside', 'emotions'):
    video.write(tmp_path / f'{name}.mp4', frames)
  found = {
    'portrait_lpips': 0.081,
    'mouth_lmd_shuffle_rise': 0.31,
    'portrait_psnr_by_emotion': {'angry': 26.4, 'neutral': 27.1, 'drawn': 26.9},
  }
  clip = {'seconds': 9.0, 'split': 'test'}
  steps = [{'name': 'records', 'seconds': 3.0, 'command': 'gmtalker prepare person me.mp4'}]
  (tmp_path / 'metrics.json').write_text(json.dumps(found))
  (tmp_path / 'times.json').write_text(json.dumps({'preset': 'quick', 'steps': steps}))
  (tmp_path / 'records').mkdir()
  report = {'subjects': ['Ann'], 'seconds': 60.0, 'accepted': [clip]}
  (tmp_path / 'records' / 'report.json').write_text(json.dumps(report))
  page = person_page.build(tmp_path).read_text()
  assert page.count('<video') == 2
  for text in (
    'Ann speaks',
    'The last 9 seconds',
    '0.081 distance',
    'wrong sound',
    '0.31 ratio',
    '27.1 dB',
    'prepare person',
  ):
    assert text in page
  assert 'http' not in page.replace('http-equiv', '')  # it needs nothing else
  assert json.loads((tmp_path / 'metrics.json').read_text())['seconds'] == {'records': 3.0}
