import subprocess
import sys

import pytest

from gmtalker_jax.core import errors


def test_nearest_is_found_whatever_the_case_and_is_none_where_nothing_is_like_it():
  assert errors.nearest('lern_rate', ['learning_rate', 'steps']) == 'learning_rate'
  assert errors.nearest('w01', ['M001', 'W001']) == 'W001'
  assert errors.nearest('xyz', ['learning_rate', 'steps']) is None


def test_a_wrong_choice_gets_all_names_and_the_nearest():
  errors.check_choice('fruit', 'pear', ('apple', 'pear'))
  with pytest.raises(errors.InputError) as caught:
    errors.check_choice('fruit', 'aple', ('apple', 'pear'))
  assert str(caught.value) == "got fruit 'aple', expected one of apple, pear; did you mean 'apple'?"
  with pytest.raises(errors.InputError, match=r'apple, pear; choose one$'):
    errors.check_choice('fruit', 'zzz', ('apple', 'pear'))


def test_a_hint_lists_what_is_known_but_not_a_thousand_names():
  assert errors.did_you_mean('aple', ['pear', 'apple']) == "; did you mean 'apple'?"
  assert errors.did_you_mean('zzz', ['pear', 'apple']) == '; expected one of apple, pear'
  hint = errors.did_you_mean('zzz', map(str, range(1000)))
  assert hint.endswith(', ...')
  assert hint.count(', ') == 20


def test_it_is_light():
  code = 'import sys, gmtalker_jax.core.errors; sys.exit("numpy" in sys.modules)'
  assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0
