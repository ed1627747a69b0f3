import dataclasses
import importlib
import json
from pathlib import Path

import ml_collections
import pytest

from configs import base
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.stages import STAGES
from gmtalker_jax.train import optimizers, run

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
  read = run.read(config)
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
    with pytest.raises(InputError, match=f"unknown config.{path}; did you mean '{near}'"):
      run.read(config)


@pytest.mark.parametrize(
  ('name', 'section'), [('expression', 'model'), ('motion', 'loss'), ('portrait', 'model')]
)
def test_a_stage_refuses_a_key_it_does_not_know(name, section):
  config = run._plain(get(name, 'smoke'))
  config[section]['widht'] = 3
  with pytest.raises(InputError, match=f'unknown config.{section}.widht; '):
    run.read(config)


def test_wrong_types_and_impossible_numbers_are_refused():
  for change, message in (
    ({'steps': 'many'}, "config.steps = 'many', expected int"),
    ({'steps': 0}, 'config.steps = 0, expected at least 1'),
    ({'seed': True}, 'config.seed = True, expected int'),
  ):
    with pytest.raises(InputError, match=message):
      run.read({**run._plain(get('motion')), **change})
  with pytest.raises(ValueError, match="variant 'tiny', expected one of"):
    base.get_config('tiny')


@pytest.mark.parametrize('key', ['unknown_emotion', 'temperature'])
def test_concentrations_and_temperatures_are_not_negative(key):
  config = run._plain(get('portrait'))
  config['data'][key] = -0.5
  with pytest.raises(InputError, match=f'config.data.{key} = -0.5, expected at least 0'):
    run.read(config)


def test_learning_rates_follow_their_schedule():
  def adam(**numbers):
    return optimizers.Optimizer(**base.adam(2.0, warmup=10, decay_steps=100, **numbers))

  cosine = optimizers.rate(adam(schedule='cosine', final=0.1))
  assert float(cosine(0)) == pytest.approx(0.2)
  assert float(cosine(10)) == pytest.approx(2.0)
  assert float(cosine(60)) == pytest.approx(1.1)
  assert float(cosine(10**6)) == pytest.approx(0.2)
  falling = optimizers.rate(adam(schedule='exponential', decay=0.5))
  assert float(falling(110)) == pytest.approx(1.0)
  with pytest.raises(InputError, match=r"schedule 'cosin', .* did you mean 'cosine'"):
    optimizers.rate(adam(schedule='cosin'))


@pytest.mark.parametrize('name', STAGES)
def test_a_model_built_by_hand_has_the_numbers_of_the_config(name):
  spec, model = STAGES[name], run._plain(get(name))['model']
  for cls, values, without in (
    *((critic, model.pop(part), ()) for part, critic in spec.critics.items()),
    (spec.generator, model, spec.sizes),
  ):
    fields = {f.name: f.default for f in dataclasses.fields(cls) if f.init}
    defaults = {n: v for n, v in fields.items() if n not in {'parent', 'name', *without}}
    assert values == defaults


@pytest.mark.parametrize('name', STAGES)
def test_a_missing_key_is_named(name):
  for section, key in (('loss', None), ('model', None), ('data', 'balanced'), (None, 'seed')):
    config = run._plain(get(name))
    values = config[section] if section else config
    key = key or min(values)
    del values[key]
    place = f'{section}.{key}' if section else key
    with pytest.raises(InputError, match=rf'got no config\.{place}'):
      run.read(config)


def test_the_critic_follows_the_generator():
  config = get('portrait')
  config.model.channel_multiplier = 0.5
  config.model.output_size = 256
  own = run._plain(config)['model']['discriminator']
  assert (own['channel_multiplier'], own['size']) == (0.5, 256)


@every_config
def test_no_number_changes_unnoticed(name, variant):
  """Golden configs. A change that is meant: run `python -m tests.configs.golden`."""
  golden = json.loads(Path(__file__).with_name('golden.json').read_text())
  assert run._plain(get(name, variant)) == golden[f'{name}:{variant}']
