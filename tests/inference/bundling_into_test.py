"""One trained generator takes its place in a talker; the others stay."""

import jax
import numpy as np
import pytest
import tiny_talker

from gmtalker_jax.cli.main import main
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.inference import bundling
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
