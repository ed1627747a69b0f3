"""Weights travel under their names, so none is one that flax made up: it would count calls."""

import functools
import re

import jax
import jax.numpy as jnp
import pytest
from flax import traverse_util

from gmtalker_jax.models.discriminator import Discriminator
from gmtalker_jax.models.expression import ExpressionGenerator
from gmtalker_jax.models.motion import MotionGenerator
from gmtalker_jax.models.portrait import INJECTIONS, PortraitGenerator

SNAKE_CASE = re.compile(r'[a-z]+(_[a-z]+|_\d+)*')
SIZE = {
  'speech_dim': 3, 'width': 8, 'heads': 2, 'encoder_layers': 2, 'decoder_layers': 2,
  'speech_layers': 2,
}  # fmt: skip
EXPRESSION = functools.partial(ExpressionGenerator, expression_dim=5, emotions=3, w_dim=4, **SIZE)
MOTION = functools.partial(MotionGenerator, motion_dim=5, flow_steps=2, flow_layers=2, **SIZE)
PORTRAIT = functools.partial(PortraitGenerator, 64, 128, 0.03, latent_dim=4)
SEQUENCE = ((2, 4, 5), (2, 8, 3), (2, 4))
PICTURE = ((1, 64, 64, 3), (1, 8), (1, 4), (1, 64))
NETWORKS = {
  **{f'expression, {m} mapper': (EXPRESSION(mapper=m), SEQUENCE) for m in ('mlp', 'transformer')},
  **{
    f'motion, {layout} latent, audio {audio}': (
      MOTION(latent_layout=layout, flow_audio_cond=audio),
      SEQUENCE,
    )
    for layout in ('sequence', 'vector', 'none')
    for audio in (False, True)
  },
  **{
    f'portrait, {way}, detail {detail}': (
      PORTRAIT(zgm_injection=way, fuse_detail=detail),
      PICTURE,
    )
    for way in INJECTIONS
    for detail in (False, True)
  },
  'discriminator': (Discriminator(64, 0.03), ((1, 64, 64, 6),)),
}


def paths(net, shapes) -> list[tuple[str, ...]]:
  args = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
  if isinstance(net, ExpressionGenerator):
    args.append(jax.ShapeDtypeStruct((2,), jnp.int32))
  return list(traverse_util.flatten_dict(jax.eval_shape(net.init, jax.random.key(0), *args)))


@pytest.mark.parametrize('name', NETWORKS)
def test_every_part_has_a_name_of_its_own(name):
  found = paths(*NETWORKS[name])
  assert len(found) > 20
  made_up = [path for path in found if not all(SNAKE_CASE.fullmatch(part) for part in path)]
  assert not made_up
