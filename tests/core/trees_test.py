import jax.numpy as jnp
import numpy as np

from gmtalker_jax.core import trees


def test_flatten_names_leaves_with_dots():
  assert trees.flatten({'a': {'b': 1, 'c': {'d': [2]}}, 'e': 3, 'f': {}}) == {
    'a.b': 1,
    'a.c.d': [2],
    'e': 3,
  }


def test_a_digest_is_of_names_shapes_types_and_bits():
  tree = {'a': {'b': np.arange(6, dtype=np.float32)}, 'c': np.ones(2)}
  digest = trees.digest(tree)
  assert digest == trees.digest({'c': np.ones(2), 'a': {'b': jnp.arange(6, dtype=jnp.float32)}})
  assert len(digest) == 16
  moved = np.arange(6, dtype=np.float32)
  moved[3] = np.nextafter(moved[3], np.float32(9))
  for other in (
    {'a': {'b': moved}, 'c': np.ones(2)},
    {'a': {'d': tree['a']['b']}, 'c': np.ones(2)},
    {'a': {'b': tree['a']['b'].reshape(2, 3)}, 'c': np.ones(2)},
    {'a': {'b': tree['a']['b'].view(np.int32)}, 'c': np.ones(2)},
  ):
    assert trees.digest(other) != digest


def test_a_mismatch_names_what_is_missing_unknown_and_of_another_shape():
  expected = {'a': {'b': np.zeros((2, 3)), 'c': np.zeros(1)}, 'd': np.zeros(4)}
  assert trees.mismatch(expected, expected) == ''
  found = {'a': {'b': np.zeros((3, 2)), 'e': np.zeros(1)}, 'd': np.zeros(4)}
  assert trees.mismatch(expected, found) == (
    '1 missing: a.c (1,); 1 unknown: a.e (1,); 1 of another shape: a.b is (3, 2), not (2, 3)'
  )
