"""From a waveform to the frames of a talking portrait. Read it from top to bottom.

speech.encode -> generate_expression + generate_motion -> shape_motion -> render
-> paint -> uint8 frames
"""

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax import speech
from gmtalker_jax.core import arrays, overlap, rng
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.face import render as renderings
from gmtalker_jax.inference.talker import Generator, Talker
from gmtalker_jax.io import traces
from gmtalker_jax.types import Coefficients

WINDOW = 1500  # frames (60 s) that the generators make in one go; memory is bounded by it
OVERLAP = 50  # frames over which two windows are blended
BUCKET = 50  # lengths are rounded up to this, so that a new length seldom means a new compilation
WORKERS = 2  # threads that render and paint: the small steps of one fill the gaps of the other
GAZE_LIMIT = 0.6  # rad (method 3.5)


class Talk(NamedTuple):
  """What a talker does. The frames are made while they are read."""

  coefficients: Coefficients  # NumPy: expression [T, E], motion [T, M]
  emotion: np.ndarray  # [T, K] weights
  latent: np.ndarray  # [T, Z] z_gm
  frames: Iterator[np.ndarray]  # T times uint8 [H, W, 3]


def speak(
  talker: Talker,
  waveform: np.ndarray,
  emotion: np.ndarray,
  seed: int = 0,
  temperature: float = 1.0,
  motion_scale: float = 1.0,
  mode: str = 'interpolation',
) -> Talk:
  """Makes a talker say `waveform`.

  Args:
    talker: who.
    waveform: [S] samples at 16 kHz.
    emotion: [T, K] weights with T = ceil(S / 640), see timeline.parse.
    seed: of this talk: latent and head motion.
    temperature: of both latents, 0 = the most likely talk.
    motion_scale: 0 = a still head, 1 = as trained. Scales pose about its mean; blinks stay.
    mode: of models.expression.SAMPLING, how a blend is drawn.

  Raises:
    InputError: empty or not finite sound.
  """
  features = speech.encode(waveform, talker.speech_encoder)
  frames = schema.frame_count(len(waveform))
  if emotion.shape != (frames, len(schema.EMOTIONS)):
    raise InputError(f'got emotion {emotion.shape}, expected {(frames, len(schema.EMOTIONS))}')
  expression, latent = generate_expression(talker, features, emotion, seed, temperature, mode)
  motion = generate_motion(talker, features, seed, temperature)
  motion = shape_motion(motion, talker.motion.statistics.motion.mean, motion_scale)
  # On the host, where they are indexed and saved.
  coefficients = Coefficients(expression, motion)  # ty: ignore[invalid-argument-type]
  return Talk(coefficients, emotion, latent, paint(talker, coefficients, emotion, latent))


def generate_expression(
  talker: Talker,
  features: np.ndarray,
  emotion: np.ndarray,
  seed: int,
  temperature: float = 1.0,
  mode: str = 'interpolation',
) -> tuple[np.ndarray, np.ndarray]:
  """Samples blendshape weights [T, E] in 0..1 from [2T, D] (method 2.7).

  Also returns z_gm [T, Z] for the portrait: the mean of the mixture that z was drawn from.
  """
  expression, latent = sample_expression(
    talker.expression, features, emotion, seed, talker.subject_index, temperature, mode
  )
  return np.clip(expression, 0.0, 1.0), latent


def sample_expression(
  generator: Generator,
  features: np.ndarray,
  emotion: np.ndarray,
  seed: int,
  subject: int,
  temperature: float = 1.0,
  mode: str = 'interpolation',
) -> tuple[np.ndarray, np.ndarray]:
  """As `generate_expression`, unbounded and by one generator; `subject` -1 is the mean person."""
  speech_rows = generator.statistics.speech.normalize(features)
  sample = _expression_sampler(generator.module, mode)

  def window(rows, part, mask):
    # The same key in every window: w, epsilon and so the manner are those of the whole talk.
    key = rng.key_for(seed, 'expression')
    return sample(generator.params, rows, part, key, temperature, subject, mask)

  expression, latent = _in_windows(window, speech_rows, emotion)
  return generator.statistics.expression.unnormalize(expression), latent


def generate_motion(
  talker: Talker, features: np.ndarray, seed: int, temperature: float = 1.0
) -> np.ndarray:
  """Samples motion [T, M] in the units of schema.MOTION_NAMES from speech features [2T, D]."""
  generator = talker.motion
  speech_rows = generator.statistics.speech.normalize(features)
  sample = _motion_sampler(generator.module)
  steps = iter(range(len(features)))

  def window(rows, _, mask):
    key = rng.key_for(seed, 'motion', next(steps))  # fresh noise: a head must not repeat itself
    return (sample(generator.params, rows, key, temperature, mask),)

  (motion,) = _in_windows(window, speech_rows, np.zeros((len(features) // 2, 1), np.float32))
  return generator.statistics.motion.unnormalize(motion)


def shape_motion(motion: np.ndarray, mean: np.ndarray, scale: float = 1.0) -> np.ndarray:
  """Smooths pose (3 taps), scales it about `mean` [M], and clips blinks and gaze (method 3.5)."""
  pose = slice(schema.ROTATION.start, schema.TRANSLATION.stop)
  motion = np.array(motion, np.float32)
  padded = np.pad(motion[:, pose], ((1, 1), (0, 0)), mode='edge')
  smooth = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
  centre = np.asarray(mean, np.float32)[None, pose]
  motion[:, pose] = centre + scale * (smooth - centre)
  motion[:, schema.BLINK] = np.clip(motion[:, schema.BLINK], 0.0, 1.0)
  motion[:, schema.GAZE] = np.clip(motion[:, schema.GAZE], -GAZE_LIMIT, GAZE_LIMIT)
  return motion


def paint(
  talker: Talker, coefficients: Coefficients, emotion: np.ndarray, latent: np.ndarray
) -> Iterator[np.ndarray]:
  """Renders and paints T frames, `batch_size()` at a time; yields uint8 [H, W, 3].

  Two batches are worked on at once, and go on while the caller encodes the last one.
  """
  frames, batch = len(emotion), batch_size()
  render = _renderer(talker.portrait.module.input_size)
  face = renderings.of_person(talker.head, talker.person)
  style = jnp.tile(talker.style, (batch, 1))

  def portraits(start: int) -> np.ndarray:
    # Constant shapes: the last batch is filled up with its last frame.
    index = np.minimum(np.arange(start, start + batch), frames - 1)
    rendering = render(*face, jax.tree.map(lambda x: x[index], coefficients))
    painted = _paint(talker, rendering, emotion[index], latent[index], style)
    return painted[: frames - start]

  for batch_of_portraits in overlap.map_in_order(portraits, range(0, frames, batch), WORKERS):
    yield from batch_of_portraits


def prepare(talker: Talker) -> None:
  """Compiles what renders and paints, by painting a face at rest."""
  rest = Coefficients(
    np.zeros((1, len(schema.EXPRESSION_NAMES)), np.float32),  # ty: ignore[invalid-argument-type]
    np.zeros((1, len(schema.MOTION_NAMES)), np.float32),  # ty: ignore[invalid-argument-type]
  )
  even = np.full((1, len(schema.EMOTIONS)), 1 / len(schema.EMOTIONS), np.float32)
  latent = np.zeros((1, talker.expression.module.latent_dim), np.float32)
  next(paint(talker, rest, even, latent))


def batch_size() -> int:
  """Frames painted at once: on a CPU the first comes sooner, an accelerator wants more to do."""
  return 1 if jax.default_backend() == 'cpu' else 8


def paint_batch(
  talker: Talker, rendering: np.ndarray, emotion: np.ndarray, latent: np.ndarray
) -> np.ndarray:
  """Portraits uint8 [B, H, W, 3] from renderings uint8 [B, h, w, 3], e [B, K] and z_gm [B, Z]."""
  style = jnp.tile(talker.style, (len(emotion), 1))
  return _paint(talker, jnp.asarray(rendering), emotion, latent, style)


def _paint(
  talker: Talker, rendering: jax.Array, emotion: np.ndarray, latent: np.ndarray, style: jax.Array
) -> np.ndarray:
  painter = _painter(talker.portrait.module)
  return np.asarray(painter(talker.portrait.params, rendering, emotion, latent, style))


@functools.cache
def _renderer(size: int) -> Callable[..., jax.Array]:
  return traces.kept(functools.partial(renderings.render_chunk, size=size), f'render {size}')


@functools.cache
def _expression_sampler(module, mode: str) -> Callable[..., tuple[jax.Array, jax.Array]]:
  def sample(params, rows, emotion, key, temperature, subject, mask):
    subject = jnp.full(len(rows), subject, jnp.int32)
    expression, _ = module.apply(
      {'params': params}, rows, emotion, key, temperature, mode, subject, mask, method='sample'
    )
    # The painter learned from z at all temperatures (data/latent.py). It gets the calmest, the mean
    # of the same mixture (same key, same w): the look must not depend on the draw, nor on `mode`,
    # since what it learned from is the interpolation.
    centre = module.apply({'params': params}, emotion, key, 0.0, method='sample_latent')
    return expression, centre

  return traces.kept(sample, f'expression {mode} {module}')


@functools.cache
def _motion_sampler(module) -> Callable[..., jax.Array]:
  def sample(params, rows, key, temperature, mask):
    return module.apply({'params': params}, rows, key, temperature, mask, method='sample')

  return traces.kept(sample, f'motion {module}')


@functools.cache
def _painter(module) -> Callable[..., jax.Array]:
  def apply(params, rendering, emotion, latent, style):
    condition = arrays.to_signed(rendering)
    image = module.apply({'params': params}, condition, emotion, latent, style)
    return arrays.to_bytes(image)

  return traces.kept(apply, f'portrait {module}')


def _in_windows(
  generate: Callable[..., tuple[jax.Array, ...]], rows: np.ndarray, emotion: np.ndarray
) -> tuple[np.ndarray, ...]:
  """Runs `generate(rows [1, 2N, D], emotion [1, N, K], mask [1, N])` over a long talk.

  Overlaps are blended. Windows are padded to few different lengths; the mask says where they end.
  """
  frames = len(emotion)
  whole: list[np.ndarray] = []
  for start in range(0, max(frames - OVERLAP, 1), WINDOW - OVERLAP):
    stop = min(start + WINDOW, frames)
    padded = start + -(-(stop - start) // BUCKET) * BUCKET
    index = np.minimum(np.arange(start, padded), stop - 1)
    row_index = np.minimum(np.arange(2 * start, 2 * padded), 2 * stop - 1)
    mask = (np.arange(start, padded) < stop).astype(np.float32)
    parts = generate(rows[None, row_index], emotion[None, index], mask[None])
    parts = [np.array(part[0, : stop - start], np.float32) for part in parts]
    if not whole:
      whole = [np.zeros((frames, part.shape[1]), np.float32) for part in parts]
    for target, part in zip(whole, parts, strict=True):
      _blend_in(target, part, start)
  return tuple(whole)


def _blend_in(target: np.ndarray, part: np.ndarray, start: int) -> None:
  """Writes `part` at `start`; its first frames fade in over what is there (not at 0)."""
  if start:
    fade = ((np.arange(OVERLAP) + 1) / (OVERLAP + 1)).astype(np.float32)[:, None]
    old = target[start : start + OVERLAP]
    part[:OVERLAP] = fade * part[:OVERLAP] + (1 - fade) * old
  target[start : start + len(part)] = part
