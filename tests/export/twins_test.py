"""Every layer of every kind of network beside its twin in PyTorch; and what they sample."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from gmtalker_jax.core import rng
from gmtalker_jax.export import exporting, parity, rules
from gmtalker_jax.export.gmtalker_torch import discriminator as twin_discriminator
from gmtalker_jax.export.gmtalker_torch import noise
from gmtalker_jax.export.gmtalker_torch.talker import NETWORKS
from gmtalker_jax.inference.bundling import hyperparameters
from gmtalker_jax.models.discriminator import Discriminator
from gmtalker_jax.models.expression import ExpressionGenerator
from gmtalker_jax.models.motion import MotionGenerator
from gmtalker_jax.models.portrait import PortraitGenerator
from gmtalker_jax.stages import STAGES

SMALL = {
  'speech_dim': 7, 'width': 16, 'heads': 2, 'encoder_layers': 1, 'decoder_layers': 2,
  'dropout': 0.5,
}  # fmt: skip
EXPRESSION = {'latent_dim': 8, 'w_dim': 4, 'subjects': 2}
MOTION = {'latent_dim': 6, 'flow_steps': 2, 'flow_width': 8, 'flow_layers': 1}
PORTRAIT = {
  'input_size': 64, 'output_size': 64, 'channel_multiplier': 1 / 64, 'style_dim': 8,
  'latent_dim': 4, 'mapping_width': 8,
}  # fmt: skip
EXPRESSIONS = [
  {},
  {'mapper': 'transformer', 'heads': 4, 'align_window': 1, 'speech_layers': 2},
  {'emotions': 1, 'latent_dim': 16, 'decoder_mode': 'parallel'},
  {'emotions': 11, 'history': 3, 'period': 5},
  {'emotions': 1, 'told': True},
]
MOTIONS = [
  {},
  {'latent_layout': 'vector', 'flow_audio_cond': True, 'align_window': 1},
  {'flow_audio_cond': True, 'decoder_mode': 'parallel', 'latent_dim': 5, 'stride': 3},
  {'latent_layout': 'none'},
  {'flow_steps': 0, 'history': 3, 'speech_layers': 1},
]
PORTRAITS = [
  {},
  {'zgm_injection': 'none', 'fuse_detail': True, 'style_mapping': 'plain'},
  {'zgm_injection': 'input_concat', 'output_size': 128, 'fuse_detail': True},
  {'output_size': 256},
]
CASES = [
  *((f'expression {options}', 'expression', EXPRESSION | options) for options in EXPRESSIONS),
  *((f'motion {options}', 'motion', MOTION | options) for options in MOTIONS),
  *((f'portrait {options}', 'portrait', options) for options in PORTRAITS),
]


def pair(stage, options):
  """A linen network with random weights, these, and its twin with the same."""
  base = PORTRAIT if stage == 'portrait' else SMALL
  module = STAGES[stage].generator(**(base | options))
  params = randomised(STAGES[stage].abstract_params(module))
  twin = NETWORKS[stage](**hyperparameters(module)).eval()
  load(twin, params)
  return module, params, twin


def randomised(shapes):
  numbers = np.random.default_rng(0)
  return jax.tree.map(lambda x: numbers.normal(0, 0.3, x.shape).astype(np.float32), shapes)


def load(twin, params):
  state = {k: torch.from_numpy(v.copy()) for k, v in exporting.state(params).items()}
  twin.load_state_dict(state, strict=True)


@pytest.mark.parametrize(('stage', 'options'), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_every_layer_computes_the_same(stage, options):
  module, params, twin = pair(stage, options)
  layers = parity.compare(stage, module, params, twin, parity.inputs_of(stage, module))
  names = {layer.name.removeprefix(f'{stage}.') for layer in layers}
  weighted = {name.rpartition('.')[0] for name, _ in twin.named_parameters()} - {''}
  # The subject table is looked up, not called; all else with weights was compared.
  assert weighted - names <= {'subject_table'}
  assert [layer for layer in layers if not layer.passed] == []


@pytest.mark.parametrize('inputs', [3, 6])
def test_every_layer_of_the_critic_computes_the_same(inputs):
  module = Discriminator(32, 1 / 32, group=2)
  picture = np.random.default_rng(1).normal(size=(4, 32, 32, inputs)).astype(np.float32)
  params = randomised(jax.eval_shape(module.init, jax.random.key(0), picture)['params'])
  twin = twin_discriminator.Discriminator(32, 1 / 32, group=2, inputs=inputs)
  load(twin, params)
  layers = parity.compare('critic', module, params, twin, [picture])
  assert len(layers) > 10
  assert [layer for layer in layers if not layer.passed] == []


@pytest.mark.parametrize(
  ('options', 'mode'),
  [*((o, 'interpolation') for o in EXPRESSIONS), ({}, 'component'), ({}, 'moment')],
)
def test_expression_is_sampled_alike(options, mode):
  module, params, twin = pair('expression', EXPRESSION | options)
  numbers = np.random.default_rng(2)
  rows = numbers.normal(size=(1, 16, 7)).astype(np.float32)
  weights = 8 if module.told else module.emotions
  emotion = numbers.dirichlet(np.ones(weights), (1, 8)).astype(np.float32)
  subject = np.array([1])
  arguments = rows, emotion, rng.key_for(5, 'a'), 0.8, mode, jnp.asarray(subject)
  ours, z = jax.jit(lambda p: module.apply(p, *arguments, method='sample'))({'params': params})
  key = noise.key_for(5, 'a')
  with torch.inference_mode():
    given = torch.from_numpy(emotion)
    drawn = twin.sample_latent(given, key, 0.8, mode)
    made = twin.sample(torch.from_numpy(rows), given, key, 0.8, mode, torch.from_numpy(subject))
  np.testing.assert_allclose(drawn, z, atol=1e-5)
  np.testing.assert_allclose(made, ours, atol=1e-4)


@pytest.mark.parametrize('options', MOTIONS)
def test_motion_is_sampled_alike_and_the_flow_turns_back(options):
  module, params, twin = pair('motion', MOTION | options)
  rows = np.random.default_rng(2).normal(size=(1, 18, 7)).astype(np.float32)
  mask = np.ones((1, 9), np.float32)
  key = rng.key_for(5, 'b', 2)
  ours = jax.jit(lambda p: module.apply(p, rows, key, 0.8, method='sample'))({'params': params})
  with torch.inference_mode():
    made = twin.sample(torch.from_numpy(rows), noise.key_for(5, 'b', 2), 0.8)
    given = torch.from_numpy(rows), torch.from_numpy(mask)
    z = noise.normal(
      noise.key_for(1, 'z'), (1, twin.latent_mask(given[1]).shape[1], twin.latent_dim)
    )
    moved, log_det = twin.push(z, *given)
    back, inverse = twin.pull(moved, *given)
  np.testing.assert_allclose(made, ours, atol=1e-4)
  start = jnp.asarray(z.numpy())
  pushed = jax.jit(lambda p: module.apply(p, start, rows, mask, method='push'))
  expected = pushed({'params': params})
  np.testing.assert_allclose(moved, expected[0], atol=1e-4)
  np.testing.assert_allclose(log_det, expected[1], atol=1e-4)
  np.testing.assert_allclose(back, z, atol=1e-4)
  np.testing.assert_allclose(inverse, -log_det, atol=1e-4)


def test_random_numbers_are_those_of_jax():
  ours, theirs = rng.key_for(2**31 + 5, 'name', 7), noise.key_for(2**31 + 5, 'name', 7)
  np.testing.assert_array_equal(jax.random.key_data(ours), theirs)
  np.testing.assert_array_equal(
    jax.random.key_data(jax.random.split(ours, 3)), noise.split(theirs, 3)
  )
  many = noise.normal(theirs, (1, 20_000))[0].numpy()
  # The inverse error function is another approximation in its tails.
  expected = jax.random.normal(ours, (1, 20_000))[0]
  np.testing.assert_allclose(many, expected, rtol=1e-5, atol=1e-6)
  assert abs(many.mean()) < 0.02
  assert abs(many.std() - 1) < 0.02


@pytest.mark.parametrize(('stage', 'options'), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_weights_come_back_bit_for_bit(stage, options):
  _, params, twin = pair(stage, options)
  flat = {
    '/'.join(p.key for p in path): v for path, v in jax.tree_util.tree_leaves_with_path(params)
  }
  state = {name: value.numpy() for name, value in twin.state_dict().items()}
  back = rules.from_torch(state, flat)
  assert back.keys() == flat.keys()
  for name, value in flat.items():
    assert back[name].tobytes() == value.tobytes(), name


@pytest.mark.prove
@pytest.mark.parametrize('sizes', [(256, 256), (256, 512), (512, 512), (256, 1024)])
def test_public_sizes_compute_the_same(sizes):
  options = dict(zip(('input_size', 'output_size'), sizes, strict=True))
  # All that is kept of every layer at 1024 pixels would not fit on a desk at the full width.
  options |= {
    'channel_multiplier': 0.25 if sizes[1] == 1024 else 1.0,
    'style_dim': 64,
    'mapping_width': 256,
  }
  module, params, twin = pair('portrait', options)
  layers = parity.compare('portrait', module, params, twin, parity.inputs_of('portrait', module))
  assert [layer for layer in layers if not layer.passed] == []


@pytest.mark.prove
@pytest.mark.parametrize('generator', [ExpressionGenerator, MotionGenerator, PortraitGenerator])
def test_twins_have_the_defaults_of_the_method(generator):
  stage = next(name for name, spec in STAGES.items() if spec.generator is generator)
  given = {} if stage == 'portrait' else {'speech_dim': 1024}
  module, twin = generator(**given), NETWORKS[stage](**given)
  ours = exporting.state(randomised(STAGES[stage].abstract_params(module)))
  assert {k: v.shape for k, v in ours.items()} == {
    k: tuple(v.shape) for k, v in twin.state_dict().items()
  }
