"""Which values a field may have, said in its type: `dropout: BelowOne`, `heads: Heads`.

`check` reads the types of any dataclass (a linen module is one), so a config's sections are checked
in one place and a field's limits stand where the field does.
"""

import math
import re
import typing
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NamedTuple

from gmtalker_jax.core.errors import InputError, check_choice

_LARGEST = 3.4e38  # of a float32; more would be infinite there
_KINDS = {bool: bool, int: int, float: (int, float), str: str}


class Between(NamedTuple):
  """low <= number <= high; with `below`, high itself is none; with `above`, low itself is none."""

  low: float = -math.inf
  high: float = math.inf
  below: bool = False
  above: bool = False

  def problem(self, value: float, others: Mapping[str, Any]) -> str:
    """What was expected instead, in words; '' where the value is fine."""
    del others
    if not abs(value) <= _LARGEST:
      return 'a finite number'
    low = value > self.low if self.above else value >= self.low
    high = value < self.high if self.below else value <= self.high
    if low and high:
      return ''
    ends = (
      (f'more than {self.low:g}' if self.above else f'at least {self.low:g}')
      if self.low > -math.inf
      else '',
      (f'less than {self.high:g}' if self.below else f'at most {self.high:g}')
      if self.high < math.inf
      else '',
    )
    return ' and '.join(filter(None, ends))


class Divides(NamedTuple):
  """The number divides that of another field."""

  field: str

  def problem(self, value: int, others: Mapping[str, Any]) -> str:
    """See `Between.problem`."""
    whole = others.get(self.field)
    if not isinstance(whole, int) or (value > 0 and whole % value == 0):
      return ''
    return f'a divisor of {self.field}, which is {whole}'


class Written(NamedTuple):
  """A text of a form."""

  pattern: str
  expected: str  # the form in words

  def problem(self, value: str, others: Mapping[str, Any]) -> str:
    """See `Between.problem`."""
    del others
    return '' if re.fullmatch(self.pattern, value) else self.expected


class OneOf(NamedTuple):
  """A name of a list."""

  names: Iterable[str]


Count = Annotated[int, Between(1)]
Whole = Annotated[int, Between(0)]
Seed = Annotated[int, Between(0, 2**31 - 1)]
Heads = Annotated[int, Between(1), Divides('width')]
Amount = Annotated[float, Between(0)]
Positive = Annotated[float, Between(0, above=True)]
Share = Annotated[float, Between(0, 1)]
BelowOne = Annotated[float, Between(0, 1, below=True)]


def check(kind: Any, name: str, value: Any, others: Mapping[str, Any]) -> None:
  """Raises InputError unless `value` is of the type `kind` and within its limits.

  Args:
    kind: the type of a field; a number must be finite, whatever it says.
    name: of the value, for the message.
    value: what was got.
    others: the values of all fields.
  """
  base, *limits = typing.get_args(kind) if typing.get_origin(kind) is Annotated else (kind,)
  expected = _KINDS.get(base)
  wrong_bool = isinstance(value, bool) and base in (int, float)
  if expected and (not isinstance(value, expected) or wrong_bool):
    raise InputError(f'got {name} = {value!r}, expected {getattr(base, "__name__", base)}')
  if base is float:
    limits = [Between(), *limits]
  for limit in limits:
    if isinstance(limit, OneOf):
      check_choice(f'{name} =', value, limit.names)
    elif problem := limit.problem(value, others):
      raise InputError(f'got {name} = {value!r}, expected {problem}')
