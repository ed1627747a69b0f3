"""A talker of random weights that is small enough to speak in a second."""

import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax import speech
from gmtalker_jax.data import statistics
from gmtalker_jax.face.person import Person
from gmtalker_jax.inference.talker import Generator, Painter, Talker
from gmtalker_jax.io import heads
from gmtalker_jax.models.expression import ExpressionGenerator
from gmtalker_jax.models.motion import MotionGenerator
from gmtalker_jax.models.portrait import PortraitGenerator

ENCODER = 'logmel'
D, E, M = speech.dimension(ENCODER), 50, 12


def talker(encoder: str = ENCODER) -> Talker:
  """Makes it; the same one each time for an encoder."""
  head, width = heads.load_head(), speech.dimension(encoder)
  moments = lambda size, scale: statistics.Moments(  # noqa: E731
    100.0, np.full(size, 0.1), np.full(size, scale**2)
  )
  stats = statistics.Statistics(moments(E, 0.1), moments(M, 0.1), moments(width, 1.0))
  expression = ExpressionGenerator(
    speech_dim=width, width=16, latent_dim=8, w_dim=4, heads=2, encoder_layers=1, decoder_layers=1,
    align_window=1, subjects=2,
  )  # fmt: skip
  motion = MotionGenerator(
    speech_dim=width, latent_dim=4, width=16, flow_steps=2, heads=2, encoder_layers=1,
    decoder_layers=1,
  )  # fmt: skip
  portrait = PortraitGenerator(
    input_size=64, output_size=64, channel_multiplier=1 / 64, style_dim=8, latent_dim=8,
    mapping_width=8,
  )  # fmt: skip
  frames, rows, mask = jnp.zeros((1, 8, E)), jnp.zeros((1, 16, width)), jnp.ones((1, 8))
  shapes = {
    'expression': _shapes(expression, frames, rows, mask, jnp.zeros(1, jnp.int32)),
    'motion': _shapes(motion, jnp.zeros((1, 8, M)), rows, mask),
    'portrait': _shapes(
      portrait, jnp.zeros((1, 64, 64, 3)), jnp.ones((1, 8)), jnp.zeros((1, 8)), jnp.zeros((1, 8))
    ),
  }
  rng = np.random.default_rng(0)
  params = jax.tree.map(lambda x: jnp.asarray(rng.normal(0.0, 0.3, x.shape), x.dtype), shapes)
  return Talker(
    expression=Generator(expression, params['expression'], stats),
    motion=Generator(motion, params['motion'], stats),
    portrait=Painter(portrait, params['portrait'], heads.name()),
    head=head,
    person=Person.plain(np.zeros(head.identity.shape[0], np.float32)),
    subjects=('M001', 'W002'),
    subject='M001',
    speech_encoder=encoder,
    seed=0,
  )


def _shapes(module, *args):
  """The parameters of `module`; nothing is compiled (random numbers need no initialiser)."""
  return jax.eval_shape(module.init, jax.random.key(0), *args)['params']
