"""The one exception a user is meant to read, and its commonest cause: a misspelt name."""

import difflib
from collections.abc import Iterable

_LISTED = 20  # names in a message at most


class InputError(ValueError):
  """Bad input. The message is one line: what was got, what was expected, what to do.

  `cli` prints it without a traceback and exits with code 2.
  """


def check_choice(what: str, value: str, valid: Iterable[str]) -> None:
  """Raises InputError for a value that is not one of `valid`; names the nearest."""
  valid = tuple(valid)
  if value not in valid:
    near = nearest(value, valid)
    advice = f'did you mean {near!r}?' if near else 'choose one'
    raise InputError(f'got {what} {value!r}, expected one of {", ".join(valid)}; {advice}')


def did_you_mean(name: str, known: Iterable[str]) -> str:
  """The end of a message about an unknown name: the nearest known one, or what is known."""
  known = sorted(known)
  near = nearest(name, known)
  more = ', ...' if len(known) > _LISTED else ''
  return (
    f'; did you mean {near!r}?' if near else f'; expected one of {", ".join(known[:_LISTED])}{more}'
  )


def nearest(name: str, known: Iterable[str]) -> str | None:
  """The known name most like `name`, whatever the case of its letters; None if none is like it."""
  spelt = {k.lower(): k for k in known}
  near = difflib.get_close_matches(name.lower(), spelt, 1, 0.4)
  return spelt[near[0]] if near else None
