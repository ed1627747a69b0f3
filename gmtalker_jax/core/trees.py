"""Nested dictionaries by dotted names."""

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


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
  """Dotted names whose values differ, with both values; None stands for a missing one."""
  a, b = flatten(a), flatten(b)
  return {
    name: (a.get(name), b.get(name))
    for name in sorted(a.keys() | b.keys())
    if a.get(name) != b.get(name)
  }


def size(tree: Any) -> int:
  """Numbers in a tree of arrays."""
  return sum(int(np.prod(x.shape)) for x in jax.tree.leaves(tree))
