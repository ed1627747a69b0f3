"""The one exception a user is meant to read, and its commonest cause."""

from collections.abc import Iterable


class InputError(ValueError):
  """Bad input. The message is one line: what was got, what was expected, what to do.

  `cli` prints it without a traceback and exits with code 2.
  """


def check_choice(what: str, value: str, valid: Iterable[str]) -> None:
  """Raises InputError for a value that is not one of `valid`."""
  valid = tuple(valid)
  if value not in valid:
    raise InputError(f'got {what} {value!r}, expected one of {", ".join(valid)}, choose one')
