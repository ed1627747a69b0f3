"""Keys are a pure function of (seed, name, step). They are never stored in a state."""

import zlib

import jax


def key_for(seed: int, name: str, step: int | jax.Array = 0) -> jax.Array:
  """Returns the key of `name` at `step`. Different names give independent streams."""
  key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))
  return jax.random.fold_in(key, step)
