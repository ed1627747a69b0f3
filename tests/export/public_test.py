"""Weights of the public StyleUNet paint the same pictures here."""

import jax
import numpy as np
import pytest
import tiny_talker
import torch
from public_styleunet import StyleUNet as Reference

from gmtalker_jax.cli.main import main
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.export import public
from gmtalker_jax.inference import bundling
from gmtalker_jax.inference import talker as talkers
from gmtalker_jax.models.portrait import StyleUNet


@pytest.fixture(scope='module')
def file(tmp_path_factory):
  """A training file, 64 to 64 pixels: one level of the encoder."""
  torch.manual_seed(0)
  path = tmp_path_factory.mktemp('public') / '1000.pt'
  average, last = Reference(64, 64), Reference(64, 64)
  torch.save(
    {'g': last.state_dict(), 'd': {}, 'g_ema': average.state_dict(), 'g_optim': {'state': {}}}, path
  )
  return path, average, last


def gap(painter, reference, size, inputs=1):
  """Largest difference of pictures, as a share of the largest value."""
  numbers = np.random.default_rng(1)
  rendering = numbers.uniform(-1, 1, (inputs, size, size, 3)).astype(np.float32)
  code = numbers.normal(size=(inputs, 64)).astype(np.float32)
  module = painter.module
  net = StyleUNet(module.input_size, module.output_size)
  made = jax.jit(net.apply)({'params': painter.params['unet']}, rendering, code)
  with torch.inference_mode():
    expected = reference(torch.from_numpy(rendering).permute(0, 3, 1, 2), torch.from_numpy(code))
  expected = expected.permute(0, 2, 3, 1).numpy()
  assert expected.std() > 0.05
  return np.abs(made - expected).max() / np.abs(expected).max()


def test_it_paints_what_the_public_one_paints(file):
  path, average, last = file
  found = public.read(str(path))
  assert (found.input_size, found.output_size, found.averaged) == (64, 64, True)
  painter = public.portrait(found, latent_dim=8)
  assert gap(painter, average, 64, 2) < 1e-4
  assert gap(painter, last, 64) > 0.1  # the moving average was taken


@pytest.mark.prove
@pytest.mark.parametrize('sizes', [(256, 256), (256, 512), (512, 512)])
def test_it_paints_what_the_public_one_paints_at_its_sizes(sizes, tmp_path):
  reference = Reference(*sizes)
  counted = sum(p.numel() for p in reference.parameters())
  assert counted == {(256, 256): 38_323_256, (256, 512): 38_800_710, (512, 512): 47_839_686}[sizes]
  torch.save({'g_ema': reference.state_dict()}, tmp_path / 'f.pt')
  found = public.read(str(tmp_path / 'f.pt'))
  assert (found.input_size, found.output_size) == sizes
  assert gap(public.portrait(found, 256), reference, sizes[0]) < 1e-4


def test_the_command_makes_a_talker_whose_painter_it_is(file, tmp_path, capsys):
  bundling.save(tiny_talker.talker(), tmp_path / 'base', {}, 'float32')
  words = ['import', '--from', str(file[0]), '--talker', str(tmp_path / 'base')]
  assert main([*words, '--out', str(tmp_path / 'begun')]) == 0
  talker, base = (talkers.load(str(tmp_path / name)) for name in ('begun', 'base'))
  assert gap(talker.portrait, file[1], 64) < 1e-4
  assert talker.portrait.module.latent_dim == base.expression.module.latent_dim
  jax.tree.map(np.testing.assert_array_equal, talker.motion.params, base.motion.params)


@pytest.mark.parametrize(
  ('change', 'match'),
  [
    (lambda s: s.pop('convs.0.conv.weight'), '1 missing: unet.decode.16.0.conv.weight'),
    (lambda s: s.update({'time.weight': torch.zeros(2)}), "a weight 'time.weight'"),
    (lambda s: s.update({'convs.0.conv.weight': torch.zeros(1, 2, 3, 3, 3)}), 'of the shape'),
    (lambda s: s.clear(), 'without the layers'),
  ],
)
def test_other_weights_are_refused_with_one_line(file, tmp_path, change, match):
  state = dict(file[2].state_dict())
  change(state)
  torch.save({'g': state}, tmp_path / 'f.pt')
  with pytest.raises(InputError, match=match) as caught:
    public.portrait(public.read(str(tmp_path / 'f.pt')), 8)
  assert '\n' not in str(caught.value)
