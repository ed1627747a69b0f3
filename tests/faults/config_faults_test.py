"""Fault 20: a config that cannot be is one line that names the key, before a device is touched."""

import copy
import dataclasses
import importlib
import typing

import pytest

from gmtalker_jax.cli.main import main
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.stages import STAGES
from gmtalker_jax.train import examples, optimizers, run, settings


@pytest.mark.parametrize(
  ('override', 'expected'),
  [
    ('optimizers.generator.rate=nan', 'a finite number'),
    ('optimizers.generator.rate=-1e-3', 'more than 0'),
    ('optimizers.generator.b2=1.5', 'at least 0 and less than 1'),
    ('optimizers.generator.clip=inf', 'a finite number'),
    ('model.dropout=2.0', 'at least 0 and less than 1'),
    ('model.encoder_layers=-1', 'at least 1'),
    ('model.heads=3', 'a divisor of width, which is 16'),
    ('model.width=0', 'at least 1'),
    ('ema_decay=2.0', 'at least 0 and less than 1'),
    ('save_every=-1', 'at least 0'),
    ('seed=-1', 'at least 0'),
    ('data.frames=100000', 'at most 3000'),
    ('mode=pjit', 'one of jit, pmap'),
    ('mesh=4*2', 'devices as DATA or DATAxFSDP'),
    ('accumulate=0', 'at least 1'),
    ('loss.label_mode=lable', "did you mean 'label'"),
  ],
)
def test_fault_20_a_number_that_cannot_be_is_one_line(override, expected, monkeypatch, capsys):
  def no_device(*args):
    raise AssertionError('a device was touched')

  monkeypatch.setattr('jax.devices', no_device)
  name = f'config.{override.split("=")[0]}'
  argv = ['train', '--config=configs/expression.py:smoke', '--workdir=w', f'--config.{override}']
  assert main(argv) == 2
  said = capsys.readouterr().err
  assert said.count('\n') == 1
  assert f'got {name} = ' in said
  assert expected in said


def numbers():
  """(stage, section, field) of every number of every config."""
  for stage, spec in STAGES.items():
    sections = {
      '': settings.Settings,
      'data': examples.of(stage).Data,
      'evaluation': settings.Evaluation,
      'optimizers.generator': optimizers.Optimizer,
      'loss': spec.objective,
      'model': spec.generator,
      **{f'model.{name}': critic for name, critic in spec.critics.items()},
    }
    for section, kind in sections.items():
      for field in dataclasses.fields(kind):
        base = (typing.get_args(field.type) or (field.type,))[0]
        skipped = not field.init or (section == 'model' and field.name in spec.sizes)
        if base in (int, float) and not skipped:
          yield stage, section, field.name


def test_fault_20_every_number_of_every_config_refuses_what_no_number_can_be():
  checked = 0
  configs = {
    stage: run._plain(importlib.import_module(f'configs.{stage}').get_config()) for stage in STAGES
  }
  for stage, section, name in numbers():
    for wrong in (float('nan'), float('inf'), -1, 'many', True):
      config = copy.deepcopy(configs[stage])
      values = config
      for part in section.split('.') if section else ():
        values = values[part]
      values[name] = wrong
      dotted = f'{section}.{name}' if section else name
      with pytest.raises(InputError, match=rf'^got config\.{dotted} = .*expected'):
        run.read(config)
      checked += 1
  assert checked > 5 * 100  # a hundred numbers
