"""The talkers that ship with the package: people of the built-in corpus, by their names there."""

import importlib.resources

from gmtalker_jax.core.errors import InputError

_FOLDER = importlib.resources.files('gmtalker_jax') / 'inference' / 'talkers'
_FIRST = 'W005'


def names() -> tuple[str, ...]:
  """Of all that are there; the first is the one that 'builtin' stands for."""
  there = [entry.name for entry in _FOLDER.iterdir()] if _FOLDER.is_dir() else []
  return tuple(sorted(there, key=lambda name: (name != _FIRST, name)))


def named(talker: str) -> bool:
  """Whether this names a talker that ships ('builtin', 'builtin:NAME'), and no directory."""
  return talker.partition(':')[0] == 'builtin'


def path_of(talker: str) -> str:
  """Where a talker lies that `named`; any other is its directory already.

  Raises:
    InputError: none of this name ships.
  """
  if not named(talker):
    return talker
  name = talker.partition(':')[2] if ':' in talker else _FIRST
  if name not in names():
    known = ', '.join(f'builtin:{n}' for n in names()) or 'some, but this package has none'
    raise InputError(f'got the talker {talker!r}, expected one of those that ship: {known}')
  return str(_FOLDER / name)
