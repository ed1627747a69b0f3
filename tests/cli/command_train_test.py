import pytest

from gmtalker_jax.cli import train
from gmtalker_jax.cli.main import main
from gmtalker_jax.core.errors import InputError

CONFIG = '--config=configs/expression.py:smoke'


def test_overrides_reach_the_config():
  config, workdir = train.read_flags(
    [CONFIG, '--workdir=w', '--config.steps=7', '--config.loss.rec', '0.5']
  )
  assert (config.steps, config.loss.rec, workdir) == (7, 0.5, 'w')


def test_the_shipped_config_is_found_from_anywhere(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert train.read_flags([CONFIG, '--workdir=w'])[0].stage == 'expression'
  (tmp_path / 'mine.py').write_text(
    'from ml_collections import config_dict\n'
    'def get_config(): return config_dict.ConfigDict({"steps": 3})\n'
  )
  assert train.read_flags(['--config=mine.py', '--workdir=w'])[0].steps == 3


def test_a_config_of_ones_own_can_start_from_the_shipped_ones(tmp_path):
  path = tmp_path / 'mine.py'
  path.write_text(
    'from . import base, expression\n'
    'def get_config(variant=""):\n'
    '  config = expression.get_config(variant)\n'
    '  config.optimizers.generator = base.adam(0.25)\n'
    '  return config\n'
  )
  config, _ = train.read_flags(['--config', f'{path}:smoke', '--workdir=w', '--config.seed=5'])
  assert (config.stage, config.optimizers.generator.rate, config.seed) == ('expression', 0.25, 5)


@pytest.mark.parametrize(
  ('argv', 'match'),
  [
    ([CONFIG, '--workdir=w', '--config.loss.recc=1'], 'Did you mean "rec"'),
    ([CONFIG, '--workdir=w', '--config.los.rec=1'], 'Did you mean "loss"'),
    ([CONFIG, '--workdir=w', '--config.steps=many'], 'many'),
    ([CONFIG, '--wrkdir=w'], 'Did you mean: workdir'),
    ([CONFIG], 'no --workdir'),
    (['--workdir=w'], 'no --config'),
    (['--config=configs/expresion.py', '--workdir=w'], r"did you mean 'expression\.py'"),
    (['--config=configs/expression.py:huge', '--workdir=w'], 'huge'),
    ([CONFIG, '--workdir=w', 'extra'], 'extra'),
  ],
)
def test_wrong_flags_are_one_line(argv, match, monkeypatch, capsys):
  def no_device(*args):
    raise AssertionError('a device was touched')

  monkeypatch.setattr('jax.devices', no_device)
  with pytest.raises(InputError, match=match):
    train.read_flags(argv)
  assert main(['train', *argv]) == 2
  error = capsys.readouterr().err
  assert error.count('\n') == 1
  assert 'Traceback' not in error
