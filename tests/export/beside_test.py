"""What `gmtalker bench` sets side by side is the same training: gradients, draws and filters."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from configs import expression, motion, portrait
from gmtalker_jax.core import rng
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.export import exporting, twin_training
from gmtalker_jax.export.gmtalker_torch import style
from gmtalker_jax.stages import STAGES, feedback
from gmtalker_jax.train import run
from gmtalker_jax.types import State

SIZES = {
  'speech_dim': 7, 'expression_dim': 50, 'motion_dim': 12, 'subjects': 2, 'latent_dim': 4,
}  # fmt: skip
CONFIGS = {'expression': expression, 'motion': motion, 'portrait': portrait}
# Its state is the gradient, and nothing moves.
SHOW = optax.GradientTransformation(
  lambda params: jax.tree.map(jnp.zeros_like, params),
  lambda gradient, _, __: (jax.tree.map(jnp.zeros_like, gradient), gradient),
)


class Case:
  """A stage of random weights, its twin with the same, and a batch of both."""

  def __init__(self, stage, way=twin_training.EAGER, model=None, **loss):
    config = CONFIGS[stage].get_config('smoke')
    config.loss.update(loss)
    config.model.update(model or {})
    if 'dropout' in config.model:
      config.model.dropout = 0.0  # the only draw that is made inside of the twin
    self.settings, self.spec = run.read(config), STAGES[stage]
    self.model = {**self.settings.model, **{name: SIZES[name] for name in self.spec.sizes}}
    self.batch = self._batch()
    begun = run.make_stage(self.settings, self.model)
    shapes = jax.eval_shape(begun.init, jax.random.key(0), self.batch).params
    numbers, scale = np.random.default_rng(0), 1.0 if stage == 'portrait' else 0.3  # equalised
    self.params = jax.tree_util.tree_map_with_path(
      # Noise maps are drawn inside of both: with strength 0 they are not seen.
      lambda path, x: (
        np.float32(0 if path[-1].key == 'noise' else scale)
        * numbers.normal(size=x.shape).astype(np.float32)
      ),
      shapes,
    )
    self.twins = twin_training.Twins(
      stage, self.model, self.settings.loss, self.settings.optimizers, 0.9, self.params, way
    )

  def _batch(self):
    numbers = np.random.default_rng(1)
    fields = {k: v for k, v in self.model.items() if k not in self.spec.critics}
    frames = {'expression': [9], 'motion': [8], 'portrait': []}[self.spec.name]
    blank = self.spec.blank(self.spec.generator(**fields), *frames)
    batch = jax.tree.map(lambda x: numbers.normal(size=(3, *x.shape[1:])).astype(np.float32), blank)
    changes = {'mask': np.ones(batch.mask.shape, np.float32)}
    if batch.mask.ndim == 2:
      changes['mask'][1, -3:] = 0
    if hasattr(batch, 'emotion'):
      changes['emotion'] = np.eye(8, dtype=np.float32)[[0, 2, 5]]
      changes['emotion'][2, [5, 0]] = 0.5
    if hasattr(batch, 'subject'):
      changes['subject'] = np.array([0, 1, 0], np.int32)
      changes['labelled'] = np.array([1, 0, 1], np.float32)
    return batch.replace(**changes)

  @functools.cached_property
  def step(self):
    chains = dict.fromkeys(self.params, SHOW)
    return jax.jit(self.spec.make(self.model, self.settings.loss, chains, 0.9).step)

  def ours(self, key, step):
    """Gradients by network, as the training's own step has them, in the names of the twin."""
    begun = {name: SHOW.init(p) for name, p in self.params.items()}
    average = {'generator': self.params['generator']}
    state = State(jnp.asarray(step), self.params, begun, average, {})
    after, _ = self.step(state, self.batch, key)
    return {name: exporting.state(g) for name, g in after.opt_state.items()}

  def placed(self):
    fields = self.batch.__dataclass_fields__
    return self.twins.place({name: getattr(self.batch, name) for name in fields})

  def same(self, gradients, expected, network='generator'):
    net = self.twins.nets[network]
    expected = expected[network]
    largest = max(np.abs(v).max() for v in expected.values())
    assert largest > 1e-3
    for (name, parameter), found in zip(net.named_parameters(), gradients, strict=True):
      if name.endswith('.noise'):
        continue
      found = torch.zeros_like(parameter) if found is None else found
      np.testing.assert_allclose(found, expected[name], atol=1e-5 * largest, rtol=1e-3,
                                 err_msg=name)  # fmt: skip


def fed(key, shape, mask, loss, share):
  keys = jax.random.split(key, 3)
  draws = {}
  if loss['feedback_dropout']:
    draws['keep'] = feedback.withheld(keys[0], jnp.asarray(mask), loss['feedback_dropout'])
  if loss['scheduled_sampling']:
    draws['own'] = rng.bernoulli(keys[1], share, mask.shape)
  if loss['feedback_noise']:
    draws['noise'] = loss['feedback_noise'] * rng.normal(keys[2], shape)
  return draws


def tensors(draws):
  return {name: torch.from_numpy(np.array(value)) for name, value in draws.items()}


FEEDBACK = [
  {},
  {'scheduled_sampling': 0.8, 'scheduled_sampling_steps': 6, 'feedback_noise': 0.0},
]
STEP = 5


@pytest.mark.parametrize('loss', FEEDBACK)
def test_the_twin_of_the_expression_stage_has_its_gradient(loss):
  case, key = Case('expression', subject_dropout=0.5, **loss), jax.random.key(3)
  _, own = jax.random.split(jax.random.fold_in(key, 0))
  keys, mask = jax.random.split(own, 4), case.batch.mask
  draws = {
    'z': rng.normal(keys[0], (3, case.model['latent_dim'])),
    'w': rng.normal(keys[1], (3, case.model['w_dim'])),
    'hidden': rng.bernoulli(keys[2], 0.5, (3,)),
    **fed(keys[3], case.batch.expression.shape, mask, case.settings.loss, 0.8 * STEP / 6),
  }
  case.twins.step_number = STEP
  case.same(case.twins.gradient(case.placed(), tensors(draws)), case.ours(key, STEP))


@pytest.mark.parametrize(
  ('loss', 'model'),
  [
    *((loss, {}) for loss in FEEDBACK),
    ({}, {'latent_layout': 'vector'}),
    ({}, {'latent_layout': 'none'}),
    ({}, {'flow_steps': 0}),
  ],
)
def test_the_twin_of_the_motion_stage_has_its_gradient(loss, model):
  case, key = Case('motion', model=model, kl_steps=10, **loss), jax.random.key(3)
  _, own = jax.random.split(jax.random.fold_in(key, 0))
  keys, mask = jax.random.split(own, 2), case.batch.mask
  latents = -(-mask.shape[1] // case.model['stride']) if 'latent_layout' not in model else 1
  draws = {
    'z': rng.normal(keys[0], (3, latents, case.model['latent_dim'])),
    **fed(keys[1], case.batch.motion.shape, mask, case.settings.loss, 0.8 * STEP / 6),
  }
  case.twins.step_number = STEP
  case.same(case.twins.gradient(case.placed(), tensors(draws)), case.ours(key, STEP))


@pytest.fixture(scope='module')
def painter():
  """The gradients of the portrait stage where R1 is not due, and where it is."""
  case, key = Case('portrait', adversarial=0.5, r1_every=4), jax.random.key(3)
  return case.ours(key, STEP), case.ours(key, 4)


@pytest.mark.parametrize('way', [twin_training.TUNED, twin_training.PUBLISHED])
def test_the_twins_of_the_portrait_stage_have_the_gradients_of_its_phases(painter, way):
  case, key = Case('portrait', way, adversarial=0.5, r1_every=4), jax.random.key(3)
  style_dim, batch = case.model['style_dim'], case.placed()

  def draws(key):
    return tensors({'z_style': rng.normal(jax.random.split(key)[0], (3, style_dim))})

  painted = draws(jax.random.split(jax.random.fold_in(key, 0))[0])
  expected, due = painter
  with case.twins.filters():
    case.same(case.twins.gradient(batch, painted), expected)
    judged, penalty = case.twins.critic_gradients(batch, draws(jax.random.fold_in(key, 1)))
  case.same(judged, expected, 'discriminator')
  case.same([g * 4 if g is not None else g for g in penalty], due, 'discriminator')


@pytest.mark.parametrize('stage', list(STAGES))
def test_a_step_moves_every_network_and_the_average(stage):
  case = Case(stage)
  case.twins.step_number = STEP  # at 0 the flow has no part in the loss
  before = [p.detach().clone() for net in case.twins.nets.values() for p in net.parameters()]
  mean = [m.clone() for m in case.twins.average]
  assert np.isfinite(case.twins.step(case.placed()))
  after = [p for net in case.twins.nets.values() for p in net.parameters()]
  moved = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
  assert np.mean(moved) > 0.9
  assert not all(torch.equal(a, b) for a, b in zip(mean, case.twins.average, strict=True))


def test_filters_as_published_are_the_same_filters():
  x = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 8, 16, 16))).float()
  case = Case('portrait', twin_training.PUBLISHED)
  calls = (
    lambda: style.blur(x, 1), lambda: style.blur(x, 2), lambda: style.downsample(x),
    lambda: style.upsample(x), lambda: style.haar(x), lambda: style.inverse_haar(x),
  )  # fmt: skip
  ours = [call() for call in calls]
  plain = style.blur
  with case.twins.filters():
    assert style.blur is not plain
    theirs = [call() for call in calls]
  assert style.blur is plain
  for one, other in zip(ours, theirs, strict=True):
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_peak_memory_is_what_is_held_at_once():
  def hold():
    one = torch.ones(1000, 250)
    two = one + 1
    del one
    return two * 2

  assert 2e6 <= twin_training.peak_memory(hold) < 2.1e6


@pytest.mark.parametrize(
  ('stage', 'name', 'value'),
  [
    ('expression', 'elbo_scale', 'sum'),
    ('portrait', 'paired', False),
    ('portrait', 'path_length', 2.0),
    ('expression', 'sync', 0.01),
  ],
)
def test_an_objective_without_a_twin_is_refused(stage, name, value):
  with pytest.raises(InputError, match=f'loss.{name} = '):
    Case(stage, **{name: value})


def test_a_reading_of_the_flow_without_a_twin_is_refused():
  with pytest.raises(InputError, match=r'model\.flow_objective = '):
    Case('motion', model={'flow_objective': 'posterior'})
