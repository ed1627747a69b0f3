"""Keys are a pure function of (seed, name, step). They are never stored in a state.

Noise of examples is drawn by row: what row i of a batch gets depends on the key and on i alone. So
it is the same however the batch is cut, over devices or into parts (`part`).
"""

import contextlib
import zlib
from collections.abc import Callable, Generator
from contextvars import ContextVar

import jax
import jax.numpy as jnp

_ROWS: ContextVar[jax.Array | None] = ContextVar('rows', default=None)


def key_for(seed: int, name: str, step: int | jax.Array = 0) -> jax.Array:
  """Returns the key of `name` at `step`. Different names give independent streams."""
  key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))
  return jax.random.fold_in(key, step)


@contextlib.contextmanager
def part(rows: jax.Array) -> Generator[None, None, None]:
  """What is traced inside sees a part of a batch: its rows [b] of that, int32. Parts nest."""
  outer = _ROWS.get()
  token = _ROWS.set(rows if outer is None else outer[rows])
  try:
    yield
  finally:
    _ROWS.reset(token)


def by_row(draw: Callable[[jax.Array], jax.Array], key: jax.Array, rows: int) -> jax.Array:
  """`draw(key of the row)` for each of so many rows, stacked. The key is consumed."""
  numbers = _ROWS.get()
  numbers = jnp.arange(rows) if numbers is None else numbers
  return jax.vmap(draw)(jax.vmap(lambda i: jax.random.fold_in(key, i))(numbers))


def normal(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """Standard normal noise [B, ...] by row. The key is consumed."""
  return by_row(lambda k: jax.random.normal(k, shape[1:]), key, shape[0])


def bernoulli(key: jax.Array, rate: float | jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """True with probability `rate`: [B, ...] by row. The key is consumed."""
  return by_row(lambda k: jax.random.bernoulli(k, rate, shape[1:]), key, shape[0])
