"""One trained generator takes its place in a talker; the others stay."""

import jax
import numpy as np
import pytest
import tiny_talker

from gmtalker_jax.cli.main import main
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.inference import bundling, latents
from gmtalker_jax.io import bundles, workdir
from gmtalker_jax.io.workdir import About


def trained(monkeypatch, encoder=tiny_talker.ENCODER, **changes):
  """A work directory is what `read_inference` says it is: here, a doubled motion generator."""
  talker = tiny_talker.talker()
  model = {**bundling.hyperparameters(talker.motion.module), **changes}
  about = About('motion', model, {}, ('A',), (), 'arkit', encoder)
  params = jax.tree.map(lambda x: 2 * np.asarray(x), talker.motion.params)
  found = workdir.Inference(7, {'generator': params}, talker.motion.statistics, about)
  monkeypatch.setattr(workdir, 'read_inference', lambda path: found)
  return talker


def test_the_named_generator_is_replaced_and_no_other(monkeypatch):
  talker = trained(monkeypatch)
  mixed, provenance = bundling.into(talker, {'motion': 'run'})
  jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, 2 * b),
               mixed.motion.params, talker.motion.params)  # fmt: skip
  assert mixed.expression is talker.expression
  assert mixed.portrait is talker.portrait
  assert mixed.subjects == talker.subjects  # those of the expression
  assert provenance['motion']['step'] == 7


def test_another_encoder_is_refused(monkeypatch):
  with pytest.raises(InputError, match=r'expected .* as the talker; train on records of that'):
    bundling.into(trained(monkeypatch, 'logmel+embedding'), {'motion': 'run'})


def test_what_is_not_given_needs_a_talker(capsys):
  assert main(['bundle', '--motion', 'run', '--out', 'x']) == 2
  assert 'got no --expression, --portrait, expected' in capsys.readouterr().err


def test_a_talker_remembers_where_the_generators_that_stayed_come_from(monkeypatch, tmp_path):
  bundling.save(trained(monkeypatch), tmp_path / 'old', {'portrait': {'step': 3}}, 'float32')
  given = ['--from', str(tmp_path / 'old'), '--motion', 'run', '--out', str(tmp_path / 'new')]
  assert main(['bundle', *given]) == 0
  found = bundles.provenance(tmp_path / 'new')
  assert (found['portrait']['step'], found['motion']['step']) == (3, 7)


def with_portrait(monkeypatch, learnt):
  """A talker, and a work directory of its painter that has learnt from these centres [8, Z]."""
  talker = tiny_talker.talker()
  model = bundling.hyperparameters(talker.portrait.module)
  about = About('portrait', model, {'data': {'expression_workdir': 'there'}}, ('A',), (), 'arkit',
                tiny_talker.ENCODER, 'A', [0.0] * 80, latents=learnt)  # fmt: skip
  params = jax.tree.map(np.asarray, talker.portrait.params)
  found = workdir.Inference(7, {'generator': params}, None, about)
  monkeypatch.setattr(workdir, 'read_inference', lambda path: found)
  return talker


def centres(talker):
  return latents.Encoder(talker.expression, tiny_talker.ENCODER).centres()


@pytest.mark.parametrize('off', [0.0, 0.1])
def test_a_portrait_that_has_learnt_from_this_expression_is_taken(monkeypatch, off):
  learnt = (1 + off) * centres(tiny_talker.talker())
  talker = with_portrait(monkeypatch, learnt.tolist())
  assert bundling.into(talker, {'portrait': 'run'})[0].subject == 'A'


def test_a_portrait_that_has_learnt_from_another_expression_is_refused(monkeypatch):
  learnt = centres(tiny_talker.talker())[::-1]  # each emotion where another one is
  talker = with_portrait(monkeypatch, learnt.tolist())
  with pytest.raises(InputError, match=r"another expression generator, expected 'there'"):
    bundling.into(talker, {'portrait': 'run'})


def test_a_portrait_of_before_that_does_not_say_is_taken(monkeypatch):
  bundling.into(with_portrait(monkeypatch, None), {'portrait': 'run'})


@pytest.mark.parametrize('factor', [1.0, -1.0])
def test_another_expression_under_a_portrait_is_warned_of(monkeypatch, caplog, factor):
  talker = tiny_talker.talker()
  about = About('expression', bundling.hyperparameters(talker.expression.module), {}, ('A', 'B'),
                (), 'arkit', tiny_talker.ENCODER)  # fmt: skip
  params = jax.tree.map(lambda x: factor * np.asarray(x), talker.expression.params)
  found = workdir.Inference(7, {'generator': params}, talker.expression.statistics, about)
  monkeypatch.setattr(workdir, 'read_inference', lambda path: found)
  bundling.into(talker, {'expression': 'run'})
  assert ('has not learnt from latents' in caplog.text) is (factor < 0)
