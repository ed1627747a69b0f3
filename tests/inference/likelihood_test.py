"""The bound of a clip's likelihood against the integral itself; emotions by Bayes' rule."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_talker
from scipy import stats
from scipy.special import logsumexp

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.inference import likelihood
from gmtalker_jax.models.motion import MotionGenerator

D, M, T = 3, 12, 4


@pytest.fixture(scope='module', params=['prior', 'posterior'])
def model(request):
  """A generator with one latent of two numbers, so that its likelihood can be integrated."""
  module = MotionGenerator(
    speech_dim=D, latent_dim=2, stride=T, flow_steps=2, flow_width=8, flow_layers=1, width=8,
    heads=2, encoder_layers=1, decoder_layers=1, period=4, dropout=0.0,
    flow_objective=request.param,
  )  # fmt: skip
  keys = jax.random.split(jax.random.key(0), 3)
  clip = (
    jax.random.normal(keys[0], (1, T, M)), jax.random.normal(keys[1], (1, 2 * T, D)),
    jnp.ones((1, T)),
  )  # fmt: skip
  params = jax.jit(module.init)(keys[2], *clip)['params']
  leaves, tree = jax.tree.flatten(params)
  noise = jax.random.split(jax.random.key(1), len(leaves))
  moved = [x + 0.15 * jax.random.normal(k, x.shape) for x, k in zip(leaves, noise, strict=True)]
  return module, jax.tree.unflatten(tree, moved), clip


def integral(module, params, clip, sigma) -> float:
  """log of the integral of p(ρ | z', a) p(z') over a grid of noise z with z' = F(z)."""
  motion, speech, mask = clip
  axis = np.linspace(-6, 6, 161)
  grid = np.stack(np.meshgrid(axis, axis, indexing='ij'), -1).reshape(-1, 1, 1, 2)
  variables = {'params': params}

  @jax.jit
  def frames(z):
    latents, _ = module.apply(variables, z, speech, mask, method='push')
    return module.apply(variables, motion, speech, latents, mask, method='decode')

  made = np.asarray(jax.lax.map(frames, jnp.asarray(grid, jnp.float32)))[:, 0]
  log_p = stats.norm.logpdf(np.asarray(motion)[0][None], made, sigma).sum((1, 2))
  prior = stats.norm.logpdf(grid[:, 0, 0]).sum(-1)
  return logsumexp(log_p + prior) + 2 * np.log(axis[1] - axis[0])


def test_many_draws_reach_the_integral(model):
  module, params, clip = model
  found = likelihood._bound(module, 24_000, params, *clip, jax.random.key(5), jnp.float32(2.0))
  # The determinant of the flow is some 0.1 here, so a sign or a term that is wrong shows.
  assert found[0] == pytest.approx(integral(module, params, clip, 2.0), abs=0.06)


def test_fewer_draws_are_a_lower_bound(model):
  module, params, clip = model
  truth = integral(module, params, clip, 1.5)

  def mean(samples):
    keys = jax.random.split(jax.random.key(2), 60)
    return np.mean([
      likelihood._bound(module, samples, params, *clip, k, jnp.float32(1.5)) for k in keys
    ])  # fmt: skip

  one, many = mean(1), mean(16)
  assert one < many < truth + 0.05


def test_a_density_is_in_the_units_of_the_motion():
  talker = tiny_talker.talker()
  generator = np.random.default_rng(0)
  motion = generator.normal(0.1, 0.1, (8, tiny_talker.M)).astype(np.float32)
  rows = generator.normal(size=(16, tiny_talker.D)).astype(np.float32)
  before = likelihood.motion_log_likelihood(talker, motion, rows, samples=4)
  moments = talker.motion.statistics.motion
  wide = moments._replace(mean=moments.mean * 10, variance=moments.variance * 100)
  statistics = talker.motion.statistics._replace(motion=wide)
  scaled = talker._replace(motion=talker.motion._replace(statistics=statistics))
  after = likelihood.motion_log_likelihood(scaled, 10 * motion, rows, samples=4)
  assert after - before == pytest.approx(-8 * tiny_talker.M * np.log(10), rel=1e-4)


def test_responsibilities_are_bayes_rule():
  talker = tiny_talker.talker()
  generator = np.random.default_rng(0)
  expression = generator.uniform(0, 1, (8, tiny_talker.E)).astype(np.float32)
  rows = generator.normal(size=(16, tiny_talker.D)).astype(np.float32)
  found = likelihood.responsibilities(talker, expression, rows)
  part = talker.expression
  inputs = (
    part.statistics.expression.normalize(expression)[None],
    part.statistics.speech.normalize(rows)[None], np.ones((1, 8), np.float32),
  )  # fmt: skip
  variables = {'params': part.params}
  posterior = part.module.apply(variables, *inputs, method='encode')
  parts = part.module.apply(variables, posterior.w.mean, method='mixture')
  logs = stats.norm.logpdf(
    np.asarray(posterior.z.mean), np.asarray(parts.mean[0]),
    np.exp(0.5 * np.asarray(parts.log_variance[0])),
  ).sum(-1)  # fmt: skip
  np.testing.assert_allclose(found, np.exp(logs - logsumexp(logs)), rtol=1e-3, atol=1e-6)
  assert found.sum() == pytest.approx(1, abs=1e-5)


def test_what_does_not_fit_together_is_one_line():
  talker = tiny_talker.talker()
  motion, rows = np.zeros((8, tiny_talker.M)), np.zeros((15, tiny_talker.D))
  with pytest.raises(InputError, match=r'got a clip \(8, 12\) with speech \(15, 80\)'):
    likelihood.motion_log_likelihood(talker, motion, rows)
  with pytest.raises(InputError, match='samples 0'):
    likelihood.motion_log_likelihood(talker, motion, np.zeros((16, tiny_talker.D)), samples=0)
