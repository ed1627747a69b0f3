"""The table of painters: each row is a config that exists, the table says what was measured."""

from pathlib import Path

import pytest

from experiments import painter
from gmtalker_jax.cli import person_steps, shipped

ORIGIN = person_steps.Origin('builtin', {}, 'logmel')
PLAN = painter.Plan(['me.mp4'], Path('out'), person_steps.PRESETS['quick'], ORIGIN, 900, 'demo')


@pytest.mark.parametrize('name', painter.ROWS)
def test_the_flags_of_a_row_are_keys_of_the_config(name):
  train, bundle, measure = painter.portrait(PLAN, name, 2)
  config = shipped.module('configs.portrait').get_config('demo')
  for flag in train.arguments[2:]:
    key, value = flag.removeprefix('--config.').split('=', 1)
    if flag.startswith('--config.'):
      config.update_from_flattened_dict({key: type(_get(config, key))(value)})
  assert config.seed == 2
  assert config.steps == config.optimizers.generator.decay_steps == 900
  assert config.data.records == f'out/{painter.ROWS[name].records}'
  assert train.arguments[2].removeprefix('--workdir=') in bundle.arguments
  assert bundle.arguments[-1] in measure.arguments


def _get(config, key):
  for part in key.split('.'):
    config = config[part]
  return config


def test_rows_differ():
  rows = {painter.portrait(PLAN, name, 0)[0].arguments[4:] for name in painter.ROWS}
  assert len({tuple(a for a in row if 'workdir' not in a) for row in rows}) >= len(painter.ROWS) - 3


def test_the_table_has_means_and_spreads():
  lines = painter.table({
    'filmed': [{'portrait_psnr_db': 26.0}, {'portrait_psnr_db': 28.0}],
    'z_prior': [{'portrait_psnr_db': 25.5, 'portrait_lpips': None}],
  }).splitlines()  # fmt: skip
  assert lines[2].split(' | ')[1:3] == ['27.000 ± 1.414', 'none']
  assert lines[3].split(' | ')[1:3] == ['25.500', 'none']
  assert lines[2].endswith('| 2 |')
