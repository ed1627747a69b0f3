"""The GAN objective, R1 and picture distances, against closed forms and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax.core import rng as core_rng
from gmtalker_jax.losses import adversarial, pictures

RNG = np.random.default_rng(0)


def image(seed: int = 0, size: int = 8) -> jax.Array:
  rng = np.random.default_rng(seed)
  return jnp.asarray(rng.uniform(-1, 1, (2, size, size, 3)), jnp.float32)


def test_losses_are_the_cross_entropies():
  real, fake = jnp.array([0.3, -2.0]), jnp.array([1.5, -0.2])

  def log_sigmoid(x):
    return -np.log1p(np.exp(-np.asarray(x)))

  np.testing.assert_allclose(adversarial.generator_loss(fake), -log_sigmoid(fake), rtol=1e-5)
  expected = -log_sigmoid(real) - log_sigmoid(-fake)
  np.testing.assert_allclose(adversarial.discriminator_loss(real, fake), expected, rtol=1e-5)


def test_r1_of_a_linear_discriminator_is_the_square_of_its_weights():
  weight = jnp.asarray(RNG.normal(size=(8, 8, 3)), jnp.float32)

  def penalty(weight):
    return adversarial.r1_penalty(lambda x: jnp.einsum('bhwc,hwc->b', x, weight), image())

  norm, logits = penalty(weight)
  np.testing.assert_allclose(norm, np.full(2, np.sum(np.asarray(weight) ** 2)), rtol=1e-5)
  np.testing.assert_allclose(logits, jnp.einsum('bhwc,hwc->b', image(), weight), rtol=1e-5)
  gradient = jax.grad(lambda w: penalty(w)[0].mean())(weight)
  np.testing.assert_allclose(gradient, 2 * weight, rtol=1e-5)


def test_pyramid_sees_blur_that_l1_forgives():
  edge = jnp.broadcast_to(
    jnp.where(jnp.arange(16) < 7, -1.0, 1.0)[None, None, :, None], (1, 16, 16, 3)
  )
  blurred = (edge + jnp.roll(edge, 1, 2) + jnp.roll(edge, -1, 2)) / 3
  offset = edge + jnp.abs(edge - blurred).mean()
  same = [pictures.absolute(x, edge)[0] for x in (blurred, offset)]
  np.testing.assert_allclose(same[0], same[1], rtol=1e-5)
  assert pictures.pyramid(blurred, edge, 3)[0] > 1.5 * pictures.pyramid(offset, edge, 3)[0]


def test_pyramid_of_a_constant_difference_is_l1():
  np.testing.assert_allclose(pictures.pyramid(image() + 0.5, image(), 3), [0.5, 0.5], rtol=1e-5)


def test_psnr():
  np.testing.assert_allclose(
    pictures.psnr(jnp.zeros((1, 4, 4, 3)) + 0.2, jnp.zeros((1, 4, 4, 3))), 20.0, rtol=1e-5
  )  # 0.2 of a range of 2 is a tenth


def test_gradients_against_finite_differences():
  a, b = image(1), image(2)
  for loss in (
    lambda x: pictures.absolute(x, b).mean(),
    lambda x: pictures.pyramid(x, b, 3).mean(),
    lambda x: adversarial.generator_loss(x.sum((1, 2, 3)) / 20).mean(),
    lambda x: adversarial.discriminator_loss(x.sum((1, 2, 3)) / 20, x.prod((2, 3)).sum(1)).mean(),
  ):
    gradient = jax.grad(loss)(a)
    assert jnp.isfinite(gradient).all()
    direction = jnp.sign(gradient) * 1e-3
    slope = (loss(a + direction) - loss(a - direction)) / 2
    np.testing.assert_allclose(jnp.vdot(gradient, direction), slope, rtol=3e-2, atol=1e-6)


def test_path_length_of_a_linear_painter_is_that_of_its_matrix():
  matrix = jnp.asarray(RNG.normal(size=(5, 4, 6, 3)), jnp.float32)
  style, key = jnp.asarray(RNG.normal(size=(2, 5)), jnp.float32), jax.random.key(3)
  lengths = adversarial.path_lengths(lambda s: jnp.einsum('bs,shwc->bhwc', s, matrix), style, key)
  noise = core_rng.normal(key, (2, 4, 6, 3)) / np.sqrt(24)  # by row
  expected = np.linalg.norm(np.einsum('shwc,bhwc->bs', matrix, noise), axis=1)
  np.testing.assert_allclose(lengths, expected, rtol=1e-5)


def test_gradient_of_path_lengths_in_float64():
  with jax.enable_x64(True):
    rng = np.random.default_rng(5)
    weights = jnp.asarray(rng.normal(size=(3, 4, 4, 3)))
    style, key = jnp.asarray(rng.normal(size=(2, 3))), jax.random.key(0)

    def penalty(weights):
      paint = lambda s: jnp.tanh(jnp.einsum('bs,shwc->bhwc', s, weights))  # noqa: E731
      return jnp.square(adversarial.path_lengths(paint, style, key) - 0.3).mean()

    gradient = np.asarray(jax.grad(penalty)(weights))
    assert gradient.dtype == np.float64
    for at in ((0, 0, 0, 0), (1, 2, 3, 1), (2, 3, 1, 2)):
      step = np.zeros(weights.shape)
      step[at] = 1e-5
      slope = (penalty(weights + step) - penalty(weights - step)) / 2e-5
      np.testing.assert_allclose(gradient[at], slope, rtol=1e-6, atol=1e-9)
