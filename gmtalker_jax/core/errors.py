"""The one exception a user is meant to read."""


class InputError(ValueError):
  """Bad input. The message is one line: what was got, what was expected, what to do.

  `cli` prints it without a traceback and exits with code 2.
  """
