"""The talkers that ship: each is whole, fits its networks, and is found by its name."""

import pytest

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.inference import builtin
from gmtalker_jax.inference import talker as talkers
from gmtalker_jax.io import bundles, heads
from gmtalker_jax.stages import STAGES


@pytest.mark.parametrize('name', builtin.names())
def test_each_fits_its_networks_and_speaks_as_itself(name):
  # `load` takes the weights of those that ship as they are; here they are compared.
  bundle = bundles.load(builtin.path_of(f'builtin:{name}'), tuple(STAGES))
  talker = talkers.from_description(bundle.description, bundle.tensors, check=True)
  assert talker.subject == name
  assert name in talker.subjects
  assert talker.portrait.head == heads.name()  # whoever changes the head trains them anew


def test_builtin_alone_is_the_first():
  assert builtin.path_of('builtin') == builtin.path_of(f'builtin:{builtin.names()[0]}')
  assert builtin.path_of('some/builtin') == 'some/builtin'


@pytest.mark.parametrize('name', ['builtin:', 'builtin:W999', 'builtin:../..'])
def test_an_unknown_name_is_refused_with_those_that_are_there(name):
  with pytest.raises(
    InputError, match=f'expected one of those that ship: builtin:{builtin.names()[0]}'
  ):
    talkers.load(name)
