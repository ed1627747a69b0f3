"""A fourth stage is a spec and a file of examples: everything else walks the table."""

import dataclasses
import sys
import types

import flax.linen as nn
import jax.numpy as jnp
import pytest
import toy_records

from configs import base
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.core.means import Mean
from gmtalker_jax.io import workdir
from gmtalker_jax.stages import STAGES
from gmtalker_jax.stages.base import Phase, Spec, Stage, make_init, make_step
from gmtalker_jax.train import run
from gmtalker_jax.train.examples import expression


class Brow(nn.Module):
  """Emotion -> the mean expression of a clip."""

  expression_dim: int
  width: int

  @nn.compact
  def __call__(self, emotion):
    hidden = nn.relu(nn.Dense(self.width, name='hidden')(emotion))
    return nn.Dense(self.expression_dim, name='out')(hidden)


@dataclasses.dataclass(frozen=True)
class Objective:
  rec: float


def make(model, loss, optimizers, ema_decay, memory):
  generator, objective = Brow(**model), Objective(**loss)

  def error(params, batch):
    made = generator.apply({'params': params['generator']}, batch.emotion)
    return jnp.square(made - batch.expression.mean(1)).mean(-1)

  def train_loss(params, stats, batch, key, step):
    value = objective.rec * error(params, batch).mean()
    return value, ({'loss': value}, {})

  def evaluate(params, batch, key):
    return {'rec': Mean.of(error(params, batch), batch.mask.max(1))}

  def init_params(key, batch):
    return {'generator': generator.init(key, batch.emotion)['params']}

  return Stage(
    'brow', ('generator',), make_init(init_params, optimizers, ('generator',)),
    make_step([Phase('generator', 'generator', train_loss)], optimizers, ema_decay, memory),
    evaluate,
  )  # fmt: skip


@pytest.fixture
def brow(monkeypatch):
  spec = Spec(
    'brow', Brow, Objective, ('expression_dim',), STAGES['expression'].blank,
    lambda generator, batch: (batch.emotion,), make, (('rec',), ('loss',)),
  )  # fmt: skip
  monkeypatch.setitem(STAGES, 'brow', spec)
  examples = types.ModuleType('gmtalker_jax.train.examples.brow')
  examples.Data, examples.open_examples = expression.Data, expression.open_examples
  monkeypatch.setitem(sys.modules, examples.__name__, examples)


def config(records):
  values = base.get_config('smoke')
  values.update(stage='brow', steps=40, save_every=40)
  values.data.records = str(records)
  values.data.frames = 8
  base.emotional(values)
  values.model.width = 8
  values.loss.rec = 1.0
  values.optimizers.generator = base.adam(0.05, warmup=0, schedule='constant')
  return values


def test_it_trains_saves_and_is_read_back(brow, tmp_path):
  toy_records.write(tmp_path, train=8, test=4, size=0)
  results = run.train(config(tmp_path), tmp_path / 'run', progress=False)
  assert results['test/rec'] < 1.0
  trained = workdir.read_inference(tmp_path / 'run')
  assert (trained.stage, trained.model) == ('brow', {'width': 8, 'expression_dim': 50})
  assert trained.params['generator']['hidden']['kernel'].shape == (8, 8)


def test_its_config_is_checked_like_the_others(brow, tmp_path):
  for change, message in (
    ({'model': {'widht': 8}}, "unknown config.model.widht; did you mean 'width'"),
    ({'loss': {}}, 'got no config.loss.rec, expected one'),
  ):
    with pytest.raises(InputError, match=message):
      run.read({**run._plain(config(tmp_path)), **change})
