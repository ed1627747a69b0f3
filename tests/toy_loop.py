"""A training that compiles in a second: a toy stage, its examples, its loop."""

import jax
import jax.numpy as jnp
import numpy as np

from configs import base as configs
from gmtalker_jax.core import rng, sharding
from gmtalker_jax.core.means import Mean
from gmtalker_jax.data.batches import Batches, InOrder
from gmtalker_jax.io import writers
from gmtalker_jax.io.checkpoints import Checkpoints
from gmtalker_jax.stages import base
from gmtalker_jax.train import loop, optimizers, programs
from gmtalker_jax.types import MotionBatch


def toy_stage(mode='jit', rate=1e-2, noise=0.0, explode_at=-1, optimizer=None, accumulate=1):
  """Two networks, the second lazily: motion = speech @ w, and a bias that follows."""
  axis = sharding.AXIS if mode == 'pmap' else None
  adam = optimizers.Optimizer(**configs.adam(rate, warmup=0, schedule='constant'))
  tx = optimizer or optimizers.make(adam, axis)

  def loss(name):
    def value(params, stats, batch, key, step):
      x = batch.speech.mean(1) + noise * rng.normal(key, batch.speech[:, 0].shape)
      y = x @ params['first']['w'] + params['second']['b'][None]
      error = ((y - batch.motion.mean(1)) ** 2).mean(-1)
      total = error.mean() + jnp.where(step == explode_at, jnp.nan, 0.0)
      return total, ({'loss': total, 'error': Mean.of(error)}, {'seen': stats['seen'] + 1.0})

    return base.Phase(name, name, value, every=1 if name == 'first' else 3)

  def init_params(key, batch):
    width = batch.speech.shape[-1], batch.motion.shape[-1]
    return {
      'first': {'w': jax.random.normal(key, width)},
      'second': {'b': jnp.zeros(width[1])},
    }

  def evaluate(params, batch, key):
    y = batch.speech.mean(1) @ params['first']['w'] + params['second']['b'][None]
    error = ((y - batch.motion.mean(1)) ** 2).mean(-1)
    return {'error': Mean.of(error, batch.mask.max(1))}

  txs = {'first': tx, 'second': tx}
  return base.Stage(
    'toy',
    ('first',),
    base.make_init(init_params, txs, ('first', 'second'), lambda: {'seen': jnp.zeros(())}),
    base.make_step([loss('first'), loss('second')], txs, 0.9, base.Memory(accumulate)),
    evaluate,
  )


def example(item, rng):
  speech = np.random.default_rng(item).normal(size=(8, 16)).astype(np.float32)
  speech += rng.normal(size=(8, 16)).astype(np.float32) * 0.1
  motion = (speech[::2, :3] * 2 + 1).astype(np.float32)
  return MotionBatch(motion, speech, np.ones(4, np.float32))


ITEMS = list(range(23))


def fit(directory, stage=None, steps=20, devices=None, schedule=None, mesh='all', **options):
  schedule = schedule or loop.Schedule(steps, save_every=3, eval_every=0, log_every=2)
  with Checkpoints(directory / 'checkpoints') as saved:
    results = loop.fit(
      loop.Run(
        stage or toy_stage(),
        Batches(ITEMS, example, 16, seed=0),
        InOrder(ITEMS, example, 16),
        schedule,
        saved,
        lambda step: writers.Writer(directory, step),
        mesh=sharding.make_mesh(devices, mesh),
        progress=False,
        **options,
      )
    )
  return final_state(directory, stage or toy_stage()), results


def final_state(directory, stage):
  mesh = sharding.make_mesh()
  like = programs.abstract_state(stage, Batches(ITEMS, example, 16, seed=0)[0], 0, mesh)
  with Checkpoints(directory / 'checkpoints') as saved:
    return jax.device_get(saved.restore(like, ()).state)


def equal(a, b):
  return jax.tree.all(jax.tree.map(np.array_equal, a, b))


def close(a, b, rtol=2e-5, atol=1e-6):
  jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=atol), a, b)
