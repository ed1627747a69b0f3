"""The decoder frame by frame: the same frames, from no more speech than each of them may see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmtalker_jax.models import decoder
from gmtalker_jax.models.decoder import Decoder, window_rows

B, T, D, E, W = 2, 9, 3, 4, 8


def _decoder(**settings):
  """A decoder with every parameter moved off its start, and its inputs, two frames masked."""
  module = Decoder(E, W, heads=2, layers=2, period=4, **settings)
  keys = jax.random.split(jax.random.key(0), 4)
  context = jax.random.normal(keys[0], (B, T, W))
  speech = jax.random.normal(keys[1], (B, 2 * T, D))
  mask = jnp.ones((B, T)).at[1, 7:].set(0.0)
  frames = jnp.zeros((B, T, E))
  variables = jax.jit(module.init)(keys[2], frames, mask, context, speech, mask)
  leaves, tree = jax.tree.flatten(variables)
  keys = jax.random.split(keys[3], len(leaves))
  moved = [x + 0.2 * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)]
  return module, jax.tree.unflatten(tree, moved), context, speech, mask


def _live(module, variables, context, speech, mask, slots=T):
  """A session that is given the rows of one frame's window at a time, and no others."""
  margin, window = module.speech_layers, window_rows(module.align_window)

  @jax.jit
  def live(carry, context, rows, valid):
    heard = module.apply(variables, rows, valid, method='listen').cut(margin, window)
    return module.apply(variables, carry, context, heard, method='step')

  carry, out = module.start(B, slots), []
  for t in range(T):
    first = 2 * (t - module.align_window) - margin
    rows = np.full((B, window + 2 * margin, D), np.nan, np.float32)
    valid = np.zeros((B, window + 2 * margin), np.float32)
    for i in range(len(rows[0])):
      if 0 <= first + i < 2 * T:
        rows[:, i], valid[:, i] = speech[:, first + i], mask[:, (first + i) // 2]
    assert int(carry.frame) == t
    carry, frame = live(carry, context[:, t], rows, valid)
    out.append(frame)
  return jnp.stack(out, 1)


@pytest.mark.parametrize(
  'settings',
  [
    {},
    {'align_window': 2, 'speech_layers': 2},
    {'align_window': 1, 'speech_layers': 1, 'history': 3},
    {'align_window': 2, 'feedback': False},
    {'align_window': 5},
  ],
)
def test_a_live_session_equals_the_rollout_and_the_decoder_fed_with_it(settings, monkeypatch):
  monkeypatch.setattr(decoder, 'BLOCK_FRAMES', 4)  # three blocks, or two of five
  module, variables, context, speech, mask = _decoder(**settings)
  live = _live(module, variables, context, speech, mask)
  free = jax.jit(lambda: module.apply(variables, context, speech, mask, method='rollout'))()
  forced = jax.jit(module.apply)(variables, live, mask, context, speech, mask)
  valid = mask[..., None]
  assert jnp.abs(free).max() > 0.1
  np.testing.assert_allclose(live * valid, free * valid, atol=1e-5)
  np.testing.assert_allclose(live * valid, forced * valid, atol=1e-5)


def test_speech_may_be_heard_in_pieces():
  """Each row once: what was heard before is kept, and pieces are joined."""
  module, variables, _, speech, _ = _decoder(align_window=1, speech_layers=2)
  valid = jnp.ones(speech.shape[:2])
  whole = module.apply(variables, speech, valid, method='listen')
  for start, stop in ((0, 6), (4, 12), (8, 18)):
    piece = module.apply(variables, speech[:, start:stop], valid[:, start:stop], method='listen')
    inner = (start + 2 if start else 0, stop - 2 if stop < 2 * T else stop)
    a = piece.cut(inner[0] - start, inner[1] - inner[0])
    b = whole.cut(inner[0], inner[1] - inner[0])
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5), a, b)
  short = module.apply(variables, speech[:, 4:12], valid[:, 4:12], method='listen')
  gap = jnp.abs(short.memories[0].key - whole.cut(4, 8).memories[0].key).max((0, 2, 3))
  assert (gap[jnp.array([0, 1, 6, 7])] > 1e-3).all()  # so the margin is not larger than it must be


def test_a_session_longer_than_its_room_forgets_the_oldest_frames():
  module, variables, *rest = _decoder(align_window=1)
  live = _live(module, variables, *rest, slots=3)
  short = Decoder(E, W, heads=2, layers=2, period=4, align_window=1, history=3)
  free = jax.jit(lambda: short.apply(variables, *rest, method='rollout'))()
  np.testing.assert_allclose(live[0], free[0], atol=1e-5)
  full = jax.jit(lambda: module.apply(variables, *rest, method='rollout'))()
  assert jnp.abs(live[0, -1] - full[0, -1]).max() > 1e-3
