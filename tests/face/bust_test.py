"""The shoulders in the rendering lie where their sway says, in front of the neck, and follow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gmtalker_jax.data import schema
from gmtalker_jax.face import bust, render
from gmtalker_jax.face.person import Person
from gmtalker_jax.io.heads import load_head
from gmtalker_jax.types import Coefficients

SIZE = 64
RNG = np.random.default_rng(0)
REST = np.zeros(8, np.float32)


def moved_by(right=0.0, up=0.0, roll=0.0):
  """The sway of a rigid motion: sides of the picture, rad."""
  cosine, sine = np.cos(roll), np.sin(roll)
  return np.array([cosine - 1, -sine, right, sine, cosine - 1, up, 0, 0], np.float32)


def shoulders(follows=None):
  picture = RNG.uniform(0, 1, (SIZE, SIZE, 4)).astype(np.float32)
  picture[..., 3] = np.arange(SIZE)[:, None] >= 48
  follows = np.zeros((7, 8), np.float32) if follows is None else follows
  return bust.Bust(picture, follows)


def laid(one, sway, under=None):
  under = jnp.zeros((SIZE, SIZE, 3)) if under is None else under
  return np.asarray(bust.lay_over(under, one, jnp.asarray(sway, jnp.float32)))


def test_at_rest_it_covers_what_it_covers_and_nothing_else():
  one, under = shoulders(), RNG.uniform(-1, 1, (SIZE, SIZE, 3)).astype(np.float32)
  over = laid(one, REST, jnp.asarray(under))
  np.testing.assert_array_equal(over[:48], under[:48])
  np.testing.assert_allclose(over[48:], one.picture[48:, :, :3] * 2 - 1, atol=1e-5)


@pytest.mark.parametrize(('right', 'up'), [(5, 0), (0, 4), (-3, 6)])
def test_whole_pixels_of_sway_move_it_by_whole_pixels(right, up):
  one = shoulders()
  rest, moved = laid(one, REST), laid(one, moved_by(right / SIZE, up / SIZE))
  expected = np.roll(rest, (-up, right), (0, 1))
  inside = np.s_[32 : SIZE - up, 8 : SIZE - 8]
  np.testing.assert_allclose(moved[inside], expected[inside], atol=1e-4)


def test_roll_turns_as_the_roll_of_the_head_does_about_the_lower_edge():
  picture = np.zeros((SIZE, SIZE, 4), np.float32)
  picture[54:58, 50:54] = 1  # a spot at the right
  one, angle = bust.Bust(picture, np.zeros((7, 8), np.float32)), 0.3
  over = laid(one, moved_by(roll=angle), jnp.full((SIZE, SIZE, 3), -1.0))[..., 0] + 1
  rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
  x, y = ((over * at).sum() / over.sum() for at in (columns - SIZE / 2, SIZE - rows))
  x0, y0 = 52 - SIZE / 2, SIZE - 56
  turned = np.exp(1j * angle) * complex(x0, y0)  # counter-clockwise, as R = Rz of the head
  assert abs(complex(x, y) - turned) < 0.1


def test_the_map_is_that_of_the_schema_and_goes_back():
  sway = RNG.normal(0, 0.1, 8)
  x, y = RNG.uniform(-0.5, 0.5, (2, 20))
  numbers = dict(zip(schema.SWAY_NAMES, sway, strict=True))
  below = 1 + numbers['px'] * x + numbers['py'] * y
  there = np.stack([
    ((1 + numbers['xx']) * x + numbers['xy'] * y + numbers['x0']) / below,
    (numbers['yx'] * x + (1 + numbers['yy']) * y + numbers['y0']) / below,
    np.ones(20),
  ])  # fmt: skip
  back = np.asarray(bust.to_rest(jnp.asarray(sway, jnp.float32))) @ there
  np.testing.assert_allclose(back[:2] / back[2], [x, y], atol=1e-5)


def test_it_follows_the_head_unless_somebody_watched():
  head, identity = load_head(), np.zeros(80, np.float32)
  follows = RNG.normal(0, 0.05, (7, 8)).astype(np.float32)
  person = Person.plain(identity).replace(bust=shoulders(follows))
  motion = RNG.normal(0, 0.1, (3, 12)).astype(np.float32)
  expression = np.zeros((3, 50), np.float32)
  said = np.concatenate([np.ones((3, 1)), motion[:, :6]], 1) @ follows
  alone = render.render_frames(head, person, Coefficients(expression, motion), SIZE, 2)
  told = Coefficients(expression, motion, said.astype(np.float32))
  np.testing.assert_allclose(
    alone.astype(int), render.render_frames(head, person, told, SIZE, 2), atol=1
  )
  elsewhere = told.replace(sway=told.sway + moved_by(0.05))
  assert (alone != render.render_frames(head, person, elsewhere, SIZE, 2)).any((1, 2, 3)).all()
  bare = Person.plain(identity)
  np.testing.assert_array_equal(
    render.render_frames(head, bare, told, SIZE, 2)[:, :32], alone[:, :32]
  )


def test_the_picture_is_differentiable_in_the_sway():
  smooth = np.zeros((SIZE, SIZE, 4), np.float32)
  smooth[..., :3] = (
    0.5 + 0.4 * np.sin(np.arange(SIZE) / 9 + np.arange(SIZE)[:, None] / 7)[..., None]
  )
  smooth[..., 3] = 1 / (1 + np.exp((44 - np.arange(SIZE)[:, None]) / 3))
  one = bust.Bust(smooth, np.zeros((7, 8), np.float32))
  weights = jnp.cos(jnp.arange(SIZE) / 11)[None, :, None]
  loss = lambda sway: (  # noqa: E731
    weights * bust.lay_over(jnp.zeros((SIZE, SIZE, 3)), one, sway)
  ).sum()
  at = jnp.asarray(moved_by(0.013, 0.021, 0.007)).at[6:].set(jnp.array([0.05, -0.08]))
  slope = jax.grad(loss)(at)
  for k in range(8):
    step = jnp.zeros(8).at[k].set(2e-4)
    assert slope[k] == pytest.approx(float(loss(at + step) - loss(at - step)) / 4e-4, rel=0.05)
