import jax.numpy as jnp

from gmtalker_jax.core import trees


def test_flatten_names_leaves_with_dots():
  assert trees.flatten({'a': {'b': 1, 'c': {'d': [2]}}, 'e': 3, 'f': {}}) == {
    'a.b': 1,
    'a.c.d': [2],
    'e': 3,
  }


def test_differences_name_changed_missing_and_new_leaves():
  a, b = {'x': {'y': 1, 'z': 2}, 'only_a': 5}, {'x': {'y': 1, 'z': 3}, 'only_b': 6}
  assert trees.differences(a, b) == {
    'only_a': (5, None),
    'only_b': (None, 6),
    'x.z': (2, 3),
  }


def test_size():
  assert trees.size({'a': jnp.zeros((2, 3)), 'b': jnp.zeros(())}) == 7
