"""How every subcommand reads its arguments: help with examples, and one line for errors."""

import argparse
from typing import NoReturn

from gmtalker_jax.core.errors import InputError, did_you_mean


class Parser(argparse.ArgumentParser):
  """argparse that raises InputError instead of printing its usage and leaving."""

  def __init__(self, name: str, text: str):
    """Takes the subcommand's name and its module docstring (what, then examples)."""
    super().__init__(
      prog=f'gmtalker {name}',
      description=text,
      formatter_class=argparse.RawDescriptionHelpFormatter,
      allow_abbrev=False,
    )

  def error(self, message: str) -> NoReturn:
    """Raises InputError with argparse's reason."""
    raise InputError(f'{message}; see `{self.prog} --help`')

  def read(self, argv) -> argparse.Namespace:
    """Parses; an unknown option is answered with the nearest known one."""
    values, unknown = self.parse_known_args(argv)
    if unknown:
      known = [o for action in self._actions for o in action.option_strings]
      hint = did_you_mean(unknown[0].split('=')[0], known)
      raise InputError(f'got {unknown[0]!r}, which `{self.prog}` does not know{hint}')
    return values


def unit(text: str) -> float:
  """A number from 0 to 1."""
  return _number(text, 0.0, 1.0, 'a number from 0 to 1')


def not_negative(text: str) -> float:
  """A finite number >= 0."""
  return _number(text, 0.0, 1e9, 'a number >= 0')


def count(text: str) -> int:
  """A whole number >= 1."""
  try:
    value = int(text)
  except ValueError:
    value = 0
  if value < 1:
    raise argparse.ArgumentTypeError(f'got {text!r}, expected a whole number >= 1')
  return value


def whole(text: str) -> int:
  """A whole number >= 0."""
  return 0 if text == '0' else count(text)


def _number(text: str, low: float, high: float, expected: str) -> float:
  try:
    value = float(text)
  except ValueError:
    value = float('nan')
  if not low <= value <= high:
    raise argparse.ArgumentTypeError(f'got {text!r}, expected {expected}')
  return value
