"""Nested dictionaries by dotted names."""

import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np


def flatten(tree: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  """`{'a': {'b': 1}}` -> `{'a.b': 1}`. An empty dictionary leaves nothing."""
  flat = {}
  for name, value in tree.items():
    if isinstance(value, Mapping):
      flat |= flatten(value, f'{prefix}{name}.')
    else:
      flat[f'{prefix}{name}'] = value
  return flat


def leaves(tree: Any) -> dict[str, Any]:
  """The leaves of any tree by dotted names: `{'params.generator.w': ...}`."""
  return {
    jax.tree_util.keystr(path, simple=True, separator='.'): leaf
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }


def digest(tree: Any) -> str:
  """16 hexadecimal digits that change with any name, shape or bit of a tree of arrays."""
  found = hashlib.sha256()
  for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
    array = np.asarray(leaf)
    found.update(f'{jax.tree_util.keystr(path)}{array.dtype}{array.shape}'.encode())
    found.update(np.ascontiguousarray(array).tobytes())
  return found.hexdigest()[:16]


def mismatch(expected: Mapping[str, Any], found: Mapping[str, Any]) -> str:
  """In words what is missing, unknown or of another shape in a tree of arrays; '' if nothing is."""
  expected, found = flatten(expected), flatten(found)
  groups = {
    'missing': [f'{n} {_shape(expected[n])}' for n in sorted(expected.keys() - found.keys())],
    'unknown': [f'{n} {_shape(found[n])}' for n in sorted(found.keys() - expected.keys())],
    'of another shape': [
      f'{name} is {_shape(found[name])}, not {_shape(value)}'
      for name, value in expected.items()
      if name in found and _shape(found[name]) != _shape(value)
    ],
  }
  return '; '.join(
    f'{len(names)} {what}: {", ".join(names[:3])}{" ..." if len(names) > 3 else ""}'
    for what, names in groups.items()
    if names
  )


def _shape(array: Any) -> tuple[int, ...]:
  return tuple(array.shape)
