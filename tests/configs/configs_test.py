import importlib

import ml_collections
import pytest

from configs import base
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.stages import STAGES
from gmtalker_jax.train import optimizers, run, settings

MODELS = {
  'expression': {'expression_dim': 50, 'speech_dim': 176, 'subjects': 3},
  'motion': {'motion_dim': 12, 'speech_dim': 176},
  'portrait': {'latent_dim': 256},
}
every_config = pytest.mark.parametrize(
  ('name', 'variant'), [(n, v) for n in STAGES for v in base.VARIANTS]
)


def get(name, variant=''):
  return importlib.import_module(f'configs.{name}').get_config(variant)


@every_config
def test_every_key_is_known_and_the_stage_builds(name, variant):
  config = get(name, variant)
  assert isinstance(config, ml_collections.ConfigDict)
  read = settings.read(run._plain(config))
  assert read.stage == name
  stage = run.make_stage(read, {**MODELS[name], **read.model})
  assert stage.name == name


@pytest.mark.parametrize('name', STAGES)
def test_the_docstring_says_command_hours_and_what_to_expect(name):
  text = importlib.import_module(f'configs.{name}').__doc__
  for word in ('Command:', 'Hours:', 'Expect:', f'--config=configs/{name}.py', 'smoke'):
    assert word in text


@pytest.mark.parametrize('name', STAGES)
def test_an_unknown_key_gets_its_nearest_name(name):
  for path, value, near in (
    ('stepz', 3, 'steps'),
    ('data.batchsize', 3, 'batch_size'),
    ('optimizers.generator.learning_rate', 3.0, 'rate'),
    ('evaluation.evry', 3, 'every'),
  ):
    config = run._plain(get(name))
    *parents, leaf = path.split('.')
    section = config
    for parent in parents:
      section = section[parent]
    section[leaf] = value
    with pytest.raises(InputError, match=f"unknown config.{path}, did you mean '{near}'"):
      settings.read(config)


@pytest.mark.parametrize(
  ('name', 'section'), [('expression', 'model'), ('motion', 'loss'), ('portrait', 'model')]
)
def test_a_stage_refuses_a_key_it_does_not_know(name, section):
  config = run._plain(get(name, 'smoke'))
  config[section]['widht'] = 3
  read = settings.read(config)
  with pytest.raises(InputError, match=f'unknown config.{section}.widht, did you mean'):
    run.make_stage(read, {**MODELS[name], **read.model})


def test_wrong_types_and_impossible_numbers_are_refused():
  for change, message in (
    ({'steps': 'many'}, "config.steps = 'many', expected int"),
    ({'steps': 0}, 'config.steps = 0, expected at least 1'),
    ({'seed': True}, 'config.seed = True, expected int'),
  ):
    with pytest.raises(InputError, match=message):
      settings.read({**run._plain(get('motion')), **change})
  with pytest.raises(ValueError, match="variant 'tiny', expected one of"):
    base.get_config('tiny')


def test_learning_rates_follow_their_schedule():
  numbers = {'rate': 2.0, 'warmup': 10, 'decay_steps': 100}
  cosine = optimizers.rate(optimizers.Optimizer(schedule='cosine', final=0.1, **numbers))
  assert float(cosine(0)) == pytest.approx(0.2)
  assert float(cosine(10)) == pytest.approx(2.0)
  assert float(cosine(60)) == pytest.approx(1.1)
  assert float(cosine(10**6)) == pytest.approx(0.2)
  falling = optimizers.rate(optimizers.Optimizer(schedule='exponential', decay=0.5, **numbers))
  assert float(falling(110)) == pytest.approx(1.0)
  with pytest.raises(InputError, match=r"schedule 'cosin', .* did you mean 'cosine'"):
    optimizers.rate(optimizers.Optimizer(schedule='cosin', **numbers))
