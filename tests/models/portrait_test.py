"""StyleUNet's published size, its shapes, and how z_gm reaches the picture."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.models.emotion import StyleMapping
from gmtalker_jax.models.portrait import PortraitGenerator, StyleUNet

MAPPING = 16_640  # of the public network's own mapping layers, which EMN replaces


def count(tree) -> int:
  return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
  ('sizes', 'public'),
  [
    ((256, 256), 38_323_256),
    ((256, 512), 38_800_710),
    ((256, 1024), 38_928_852),
    ((512, 512), 47_839_686),
  ],
)
def test_parameters_at_public_size(sizes, public):
  net = StyleUNet(*sizes)
  image = jnp.zeros((1, sizes[0], sizes[0], 3))
  shapes = jax.eval_shape(net.init, jax.random.key(0), image, jnp.zeros((1, 64)))
  assert count(shapes) + MAPPING == public
  mapping = jax.eval_shape(StyleMapping().init, jax.random.key(0), jnp.zeros((1, 64)))
  assert count(mapping) == MAPPING


@pytest.mark.parametrize('sizes', [(64, 64), (64, 256), (128, 256), (256, 256), (256, 512)])
def test_shapes(sizes):
  net = PortraitGenerator(*sizes, channel_multiplier=0.1, latent_dim=4)
  args = (jnp.zeros((2, sizes[0], sizes[0], 3)), jnp.ones((2, 8)), jnp.zeros((2, 4)))
  out, _ = jax.eval_shape(net.init_with_output, jax.random.key(0), *args, jnp.zeros((2, 64)))
  assert out.shape == (2, sizes[1], sizes[1], 3)
  assert out.dtype == jnp.float32


def tiny(**settings):
  net = PortraitGenerator(
    64, 64, channel_multiplier=0.01, style_dim=8, latent_dim=4, mapping_width=16, **settings
  )
  rng = np.random.default_rng(0)
  args = [
    jnp.asarray(rng.normal(size=s), jnp.float32) for s in ((2, 64, 64, 3), (2, 8), (2, 4), (2, 8))
  ]
  return net, jax.jit(net.init)(jax.random.key(0), *args), args


@pytest.mark.parametrize(
  ('mode', 'moves'), [('style_concat', True), ('none', False), ('input_concat', True)]
)
def test_latent_reaches_the_picture_iff_injected(mode, moves):
  net, params, args = tiny(zgm_injection=mode)
  apply = jax.jit(net.apply)
  before = apply(params, *args)
  after = apply(params, args[0], args[1], args[2] + 1, args[3])
  assert (jnp.abs(after - before).max() > 1e-3) == moves


def test_every_input_moves_the_picture_and_examples_do_not_mix():
  net, params, args = tiny()
  apply = jax.jit(net.apply)
  before = apply(params, *args)
  for i in range(4):
    changed = list(args)
    changed[i] = args[i].at[0].add(1.0)
    after = apply(params, *changed)
    assert jnp.abs(after[0] - before[0]).max() > 1e-3
    np.testing.assert_allclose(after[1], before[1], atol=1e-5)


def test_bfloat16_is_near_float32():
  net, params, args = tiny()
  half, _, _ = tiny(dtype='bfloat16')
  a, b = jax.jit(net.apply)(params, *args), jax.jit(half.apply)(params, *args)
  assert b.dtype == jnp.float32
  assert jnp.abs(a - b).mean() < 0.05 * jnp.abs(a).mean()


def test_bad_input_is_told():
  image, code = jnp.zeros((1, 64, 64, 3)), jnp.zeros((1, 64))
  with pytest.raises(InputError, match='expected powers of two'):
    StyleUNet(100, 100).init(jax.random.key(0), image, code)
  with pytest.raises(InputError, match='got a rendering of'):
    StyleUNet(128, 128).init(jax.random.key(0), image, code)
  with pytest.raises(InputError, match='got zgm_injection'):
    tiny(zgm_injection='elsewhere')
  with pytest.raises(InputError, match="got dtype 'float16', expected one of float32, bfloat16"):
    tiny(dtype='float16')


def test_detail_reaches_the_picture_where_it_is():
  """A pixel of the rendering moves the picture close by only through `fuse_detail`'s short way."""
  net = StyleUNet(64, 64, 0.03125, fuse_detail=True)
  image, style = jnp.zeros((1, 64, 64, 3)), jnp.ones((1, 8))
  params = jax.jit(net.init)(jax.random.key(0), image, style)
  names = params['params'].keys()
  assert {'detail_32', 'detail_16', 'detail_rgb_32', 'detail_rgb_16'} <= set(names)
  painted = jax.jit(net.apply)
  moved = jnp.abs(
    painted(params, image.at[0, 40, 24].set(1.0), style) - painted(params, image, style)
  ).sum((0, 3))
  near, far = moved[32:48, 16:32].mean(), moved[:16, 48:].mean()
  assert near > 3 * far


def test_a_plain_style_is_told_no_emotion():
  net, params, args = tiny(zgm_injection='none', style_mapping='plain')
  image = net.apply(params, *args)
  np.testing.assert_array_equal(net.apply(params, args[0], -args[1], *args[2:]), image)
  assert jnp.abs(net.apply(params, *args[:3], -args[3]) - image).mean() > 1e-4
