"""However a training is laid out, its losses are those of one device: all layouts, all stages."""

import dataclasses
import functools
import importlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmtalker_jax.core import hlo, sharding
from gmtalker_jax.train import plan, programs, run

STAGES = ('expression', 'motion', 'portrait')
STEPS = 20
# Sums of float32 in another order. Most layouts stay below 1e-5. Where rounding turns the sign of
# one difference of a small picture, its |x| has another gradient (3e-5 of the norm), and curves
# part by 1.7e-4 in 20 steps, as one device's may from weights that differ in their last bit.
RTOL = 2e-4
SIZES = {'speech_dim': 6, 'expression_dim': 50, 'motion_dim': 12, 'subjects': 3, 'latent_dim': 1}
LAYOUTS = {  # name -> (devices, what is another word in the config)
  'copied to 8': (8, {}),
  'fsdp 8': (8, {'mesh': '1x8'}),
  '4x2': (8, {'mesh': '4x2'}),
  'mapped': (8, {'mode': 'pmap'}),
  'accumulation x4': (2, {'accumulate': 4}),
  'remat block': (1, {'remat': 'block'}),
  'remat layer, 4x2': (8, {'remat': 'layer', 'mesh': '4x2'}),
}


def config(stage, **changes):
  """The smoke config, whose objective is a mean over examples: see `loop.Run.mode`."""
  values = importlib.import_module(f'configs.{stage}').get_config('smoke')
  if stage == 'motion':
    values.loss.free_bits = 0.0  # a floor under a mean over the batch
  if stage == 'portrait':
    values.model.zgm_injection = 'none'
    values.model.discriminator.group = 1  # else the critic compares the examples of a part
  if stage != 'portrait':
    values.model.decoder_mode = 'parallel'  # compiles quickly
  values.update_from_flattened_dict(changes)
  return values


def step_of(stage, devices=1, **changes):
  """(jitted step, abstract state, abstract batch)."""
  settings = run.read(config(stage, **changes))
  mesh = sharding.make_mesh(jax.devices()[:devices], settings.mesh)
  made, batch = plan._stage(settings, SIZES), plan.abstract_batch(settings, SIZES, 8)
  like = programs.abstract_state(made, batch, 0, mesh)
  step = programs.train_step(made, 0, mesh, settings.mode, like)
  return step, like, plan._placed(batch, mesh)


def equations(jaxpr):
  for eqn in jaxpr.eqns:
    yield eqn
    for value in eqn.params.values():
      for inner in value if isinstance(value, tuple | list) else [value]:
        inner = getattr(inner, 'jaxpr', inner)
        if hasattr(inner, 'eqns'):
          yield from equations(inner)


def products(jaxpr):
  """dtypes of what is multiplied."""
  names = ('dot_general', 'conv_general_dilated')
  return [e.invars[0].aval.dtype.name for e in equations(jaxpr) if e.primitive.name in names]


@pytest.mark.parametrize('stage', STAGES)
def test_a_step_talks_to_no_host_and_gives_its_state_away(stage):
  step, like, batch = step_of(stage)
  traced = step.trace(like, batch)
  names = {eqn.primitive.name for eqn in equations(traced.jaxpr.jaxpr)}
  assert not [n for n in names if 'callback' in n or n in ('infeed', 'outfeed', 'device_put')]
  donated = jax.tree.leaves(traced.lower().args_info[0][0], is_leaf=lambda x: hasattr(x, 'donated'))
  assert len(donated) == len(jax.tree.leaves(like))
  assert all(info.donated for info in donated)


@pytest.mark.parametrize('stage', STAGES)
def test_bfloat16_is_a_word_that_leaves_the_state_and_the_losses_alone(stage):
  before = step_of(stage)
  after = step_of(stage, **{'model.dtype': 'bfloat16'})
  small, large = (s[0].trace(*s[1:]).jaxpr for s in (after, before))
  assert set(products(large.jaxpr)) == {'float32'}
  found = products(small.jaxpr)
  assert len(found) == len(products(large.jaxpr))
  assert found.count('bfloat16') > 0.4 * len(found)  # the flow and what speaks of densities are not
  assert jax.tree.map(lambda x: x.dtype, after[1]) == jax.tree.map(lambda x: x.dtype, before[1])
  assert {v.dtype.name for v in small.out_avals} <= {'float32', 'int32'}  # state and metrics
  narrow = {
    eqn.primitive.name
    for eqn in equations(small.jaxpr)
    if any(getattr(v.aval, 'dtype', None) == jnp.bfloat16 for v in eqn.outvars)
  }
  assert not narrow & {'exp', 'log', 'reduce_max', 'rsqrt'}  # softmax, norms, densities


@pytest.mark.parametrize('stage', STAGES)
def test_remat_is_a_word(stage):
  """Products are made again; with 'layer' fewer than with 'block'."""
  changes = {'loss.adversarial': 0.0} if stage == 'portrait' else {}  # traced in half the time
  count = {}
  for name in ('', 'layer', 'block') if stage == 'motion' else ('', 'block'):
    step, like, batch = step_of(stage, remat=name, **changes)
    count[name] = len(products(step.trace(like, batch).jaxpr.jaxpr))
  assert count[''] < count.get('layer', count['block']) <= count['block']


@pytest.mark.parametrize('stage', ['expression', 'motion'])
def test_a_cut_state_is_gathered_once_and_nothing_else_goes_about(stage, monkeypatch):
  monkeypatch.setattr(sharding, 'SMALLEST', 2**7)  # these networks are small
  step, like, batch = step_of(stage, 8, mesh='1x8')
  sent = hlo.collectives(step.lower(like, batch).compile().as_text(), 8)
  gathered = [c.size for c in sent if c.kind == 'all-gather']
  cut = [x.size * 4 for x in jax.tree.leaves(like.params) if not x.sharding.is_fully_replicated]
  assert 0.9 * sum(cut) < sum(gathered) <= sum(cut)  # not all of them are read whole
  assert {c.kind for c in sent} == {'all-gather', 'all-reduce'}


def losses(stage, devices=1, steps=STEPS, moved=0, **changes):
  """Of the generator, in a training on the same batches from the same state.

  With `moved`, a seed, the weights' last bits begin as others: a yardstick for what rounding does.
  """
  step, like, place = step_of(stage, devices, **changes)
  mesh = jax.tree.leaves(place)[0].sharding.mesh
  found = []
  state = begun(stage)
  draw = np.random.default_rng(moved)
  nudge = lambda x: (x * (1 + 1.2e-7 * draw.integers(-1, 2, x.shape))).astype(x.dtype)  # noqa: E731
  weights = jax.tree.map(nudge, state.params) if moved else state.params
  state = jax.device_put(dataclasses.replace(state, params=weights), programs.places(like))
  for i in range(steps):
    state, metrics = step(state, sharding.place_batch(batch_of(place, i % 40), mesh))
    mean = jax.device_get(metrics['generator/loss'])
    found.append(mean.total / mean.count)
  return np.array(found)


@functools.cache
def begun(stage):
  """The state of step 0, on the host."""
  made, batch = plan._stage(run.read(config(stage)), SIZES), step_of(stage)[2]
  like = programs.abstract_state(made, batch, 0, sharding.make_mesh(jax.devices()[:1]))
  return jax.device_get(programs.first_state(made, batch, 0, like))


def batch_of(like, seed):
  """Something to learn: what is asked for follows from the sound, or from the rendering."""
  g = np.random.default_rng(seed)
  drawn = {
    f.name: g.normal(size=getattr(like, f.name).shape).astype(np.float32)
    for f in dataclasses.fields(like)
  }
  kinds = g.integers(0, 8, len(drawn['mask']))
  known = {'mask': 1, 'labelled': 1, 'emotion': np.eye(8)[kinds], 'subject': kinds % 3}
  heard = drawn['speech'][:, ::2].mean(-1, keepdims=True) if 'speech' in drawn else None
  for name in ('expression', 'motion'):
    if name in drawn:
      drawn[name] = 0.3 * drawn[name] + heard
  if 'image' in drawn:
    drawn['rendering'] = np.tanh(drawn['rendering'].mean((1, 2), keepdims=True) * 30)
    drawn['rendering'] = np.broadcast_to(drawn['rendering'], like.rendering.shape)
    drawn['image'] = 0.5 * drawn['rendering']
  return type(like)(**{
    name: np.broadcast_to(known.get(name, value), value.shape).astype(getattr(like, name).dtype)
    for name, value in drawn.items()
  })  # fmt: skip


@pytest.mark.prove
@pytest.mark.parametrize('stage', STAGES)
def test_every_layout_learns_what_one_device_does(stage, monkeypatch):
  """Records, processes and the command are in processes_test.py."""
  monkeypatch.setattr(sharding, 'SMALLEST', 2**7)  # these networks are small
  one = losses(stage)
  assert abs(one[-1] - one[0]) > 100 * RTOL * abs(one[0])  # it learns: equal is not constant
  far = {}
  layouts = {f'one device, last bits as in {k}': (1, {'moved': k}) for k in (1, 2, 3)} | LAYOUTS
  for name, (devices, changes) in layouts.items():
    found = losses(stage, devices, **changes)
    far[name] = float(np.abs(found / one - 1).max())
    sys.stdout.write(f'{stage}, {name}: {far[name]:.1e} of the loss at most\n')
    sys.stdout.flush()
  assert max(far[name] for name in LAYOUTS) < RTOL, far


@pytest.mark.prove
@pytest.mark.parametrize('stage', STAGES)
def test_bfloat16_learns_what_float32_does(stage):
  """Over 200 steps: the mean of the last 50 losses within 5 %."""
  learns = {
    'optimizers.generator.decay_steps': 200,
    'optimizers.generator.rate': 5e-3,
  }  # or nothing is learnt
  full = losses(stage, steps=200, **learns)
  half = losses(stage, steps=200, **learns, **{'model.dtype': 'bfloat16'})
  ratio = half[-50:].mean() / full[-50:].mean()
  first = np.abs(half[:10] / full[:10] - 1).max()
  sys.stdout.write(
    f'{stage}: last 50 of 200 steps {ratio:.4f} of float32, first ten within {first:.1e}\n'
  )
  assert full[-50:].mean() < 0.9 * full[:5].mean()
  assert abs(ratio - 1) < 0.05
  assert not np.array_equal(half, full)
