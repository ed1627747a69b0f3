"""z_gm of a clip has one home, and knows what it was made with."""

import jax
import numpy as np
import pytest
import tiny_talker
import toy_records

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import latent
from gmtalker_jax.inference import bundling, latents
from gmtalker_jax.inference import talker as talkers
from gmtalker_jax.io import workdir


@pytest.fixture(scope='module')
def talker():
  return tiny_talker.talker()


def record(frames=20, **changes):
  rng = np.random.default_rng(0)
  speech = rng.normal(size=(2 * frames, tiny_talker.D)).astype(np.float16)
  values = toy_records.record(0)
  return values | {
    'speech': speech,
    'expression': rng.uniform(size=(frames, 50)).astype(np.float32),
    'valid': np.ones(frames, np.float32),
    'speech_encoder': tiny_talker.ENCODER,
    **changes,
  }


def test_it_is_the_posterior_mean_whatever_the_padding(talker):
  generator = talker.expression
  found = latents.Encoder(generator, tiny_talker.ENCODER)(record())
  clip, moments = record(), generator.statistics
  z = generator.module.apply(
    {'params': generator.params},
    moments.expression.normalize(clip['expression'])[None],
    moments.speech.normalize(clip['speech'].astype(np.float32))[None],
    clip['valid'][None],
    method='encode',
  ).z
  np.testing.assert_allclose(found, z.mean[0], atol=1e-5)
  law = latents.Encoder(generator, tiny_talker.ENCODER).posterior(record())
  np.testing.assert_allclose(law.deviation, np.exp(z.log_variance[0] / 2), atol=1e-5)


@pytest.mark.parametrize('components', [1, 8, 12])
def test_a_painter_learns_with_any_number_of_components(talker, components):
  module = talker.expression.module.clone(emotions=components)
  frames, rows, mask = np.zeros((1, 8, 50)), np.zeros((1, 16, tiny_talker.D)), np.ones((1, 8))
  inputs = (frames, rows, mask, np.zeros(1, np.int32))
  params = jax.jit(module.init)(jax.random.key(0), *inputs)['params']
  generator = talker.expression._replace(module=module, params=params)
  mixtures = latents.Encoder(generator, tiny_talker.ENCODER).mixtures()
  assert mixtures.components.mean.shape[1:] == (8, 8)
  happy = np.eye(8, dtype=np.float32)[4]
  drawn = mixtures.draw(happy, 0.0, np.random.default_rng(0))
  w = latent.manners(module.w_dim, np.random.default_rng(0))
  manner = np.random.default_rng(0).integers(len(w))
  whole = module.apply({'params': params}, w[manner][None], method='mixture')
  np.testing.assert_allclose(drawn, whole.mean[0, min(4, components - 1)], atol=1e-5)


def test_mixtures_draw_what_speaking_draws(talker):
  # Two roads to p(z | e): a table of mixtures in NumPy, and the generator's own sampling.
  generator, rng = talker.expression, np.random.default_rng(0)
  mixtures = latents.Encoder(generator, tiny_talker.ENCODER).mixtures()
  emotion = np.zeros(8, np.float32)
  emotion[[2, 4]] = 0.75, 0.25
  many = 4000
  keys = jax.random.split(jax.random.key(0), many)
  for temperature in (0.0, 1.0):
    spoken = jax.vmap(
      lambda key, t=temperature: generator.module.apply(
        {'params': generator.params}, emotion[None], key, t, method='sample_latent'
      )[0]
    )(keys)
    drawn = np.stack([mixtures.draw(emotion, temperature, rng) for _ in range(many)])
    scale = np.std(spoken, 0)
    np.testing.assert_allclose(drawn.mean(0), spoken.mean(0), atol=5 * scale.max() / many**0.5)
    np.testing.assert_allclose(drawn.std(0), scale, rtol=0.1)


def test_its_digest_is_of_weights_and_statistics(talker):
  generator = talker.expression
  digest = latents.Encoder(generator, tiny_talker.ENCODER).digest
  assert latents.Encoder(generator, tiny_talker.ENCODER).digest == digest
  moved = jax.tree.map(lambda x: x, generator.params)
  moved['head_z']['bias'] = moved['head_z']['bias'].at[0].add(1e-6)
  other = generator.statistics._replace(speech=generator.statistics.motion)
  for changed in (generator._replace(params=moved), generator._replace(statistics=other)):
    assert latents.Encoder(changed, tiny_talker.ENCODER).digest != digest


def test_features_of_another_encoder_are_refused(talker):
  encode = latents.Encoder(talker.expression, tiny_talker.ENCODER)
  with pytest.raises(InputError, match='features of embedding, expected logmel as the expression'):
    encode(record(speech_encoder='embedding'))


def test_a_workdir_of_another_version_is_one_line(talker, tmp_path):
  generator = talker.expression
  about = workdir.About(
    'expression', {'latent': 8, 'speech_dim': 80}, {}, (), (), 'arkit', 'logmel'
  )
  trained = workdir.Inference(1, {'generator': generator.params}, generator.statistics, about)
  with pytest.raises(InputError, match=r"'runs/x' whose expression.*latent.*train it again"):
    talkers.generator_of('expression', trained, 'runs/x')
  fields = bundling.hyperparameters(generator.module) | {'width': 32}
  trained = trained._replace(about=about._replace(model=fields))
  with pytest.raises(InputError, match=r'of another shape: .* \.\.\.\), expected one'):
    talkers.generator_of('expression', trained, 'runs/x')
  with pytest.raises(InputError, match="stage 'expression', expected a trained motion"):
    talkers.generator_of('motion', trained, 'runs/x')


def test_a_talker_is_a_place_to_take_latents_from():
  found, known = latents.Encoder.of('builtin'), talkers.load('builtin')
  assert found.digest == latents.Encoder(known.expression, known.speech_encoder).digest


def test_a_place_without_latents_is_refused(tmp_path):
  with pytest.raises(InputError, match='expected'):
    latents.Encoder.of(str(tmp_path))
