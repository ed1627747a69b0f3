"""What a compiled program sends between devices, read from its HLO text."""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

KINDS = ('all-reduce', 'all-gather', 'reduce-scatter', 'all-to-all', 'collective-permute')
_BITS = {'pred': 8, 's4': 4, 'u4': 4, 'bf16': 16, 'f8e4m3fn': 8, 'f8e5m2': 8}
_CALL = re.compile(rf'= (.+?) ({"|".join(KINDS)})(-start)?\((.*)$')
COMPUTATION = re.compile(r'(ENTRY )?%?([\w.-]+) \(.*\{$')  # (entry or not, name)
_CHAIN = re.compile(r'\bchannel_id=\d+.*\bchain_id="\d+"')
ARRAY = re.compile(r'\b([a-z]+\d*[a-z0-9]*)\[([\d,]*)\](?:\{([^}]*)\})?')  # (dtype, shape, layout)
_IOTA_GROUPS = re.compile(r'replica_groups=\[(\d+),(\d+)\]')
_LISTED_GROUPS = re.compile(r'replica_groups=\{\{([\d,]*)\}')


class Collective(NamedTuple):
  """One instruction that moves data between devices."""

  kind: str  # one of KINDS
  size: int  # bytes of the result on one device
  group: int  # devices that take part

  @property
  def sent(self) -> float:
    """Bytes that each device sends, by the ring that is optimal for large arrays."""
    others = self.group - 1
    shares = {
      'all-reduce': 2 * others / self.group,
      'all-gather': others / self.group,
      'reduce-scatter': float(others),  # of the result, which is one share
      'all-to-all': others / self.group,
      'collective-permute': 1.0,
    }
    return self.size * shares[self.kind]


def collectives(text: str, devices: int) -> list[Collective]:
  """Every collective of a compiled module, each once: a loop's body is not multiplied.

  A TPU's compiler writes an all-gather that goes on beside other work into each fusion that it goes
  on beside, and a reduce-scatter as a computation of that name that reduces all and keeps a share.

  Args:
    text: `compiled.as_text()`.
    devices: how many the program runs on.
  """
  return [c for c in _each(text, devices) if c.group > 1]


def loops(text: str) -> int:
  """How many loops a compiled module has; compilers and `collectives` count a body once."""
  return text.count(' while(')


def _each(text: str, devices: int) -> Iterator[Collective]:
  within, chains = '', set()
  for line in text.splitlines():
    if opened := COMPUTATION.match(line):
      within = opened[2]
    elif call := _CALL.search(line):
      shapes, kind, started, rest = call.groups()
      if chain := _CHAIN.search(rest):
        if chain[0] in chains:
          continue
        chains.add(chain[0])
      sizes = [bytes_of(dtype, shape) for dtype, shape, _ in ARRAY.findall(shapes)]
      # A started gather or permute names its operand too: the result is the larger.
      one = started and kind in ('all-gather', 'collective-permute')
      size, group = max(sizes) if one else sum(sizes), _group(rest, devices)
      if within.startswith('all-reduce-scatter'):
        kind, size = 'reduce-scatter', size // group
      yield Collective(kind, size, group)


def _group(attributes: str, devices: int) -> int:
  if found := _IOTA_GROUPS.search(attributes):
    return int(found[2])
  if found := _LISTED_GROUPS.search(attributes):
    return found[1].count(',') + 1
  return devices  # `replica_groups={}` is all of them; a permute has pairs


def bytes_of(dtype: str, shape: str) -> int:
  """Of an array as HLO writes it: 'bf16', '8,128'."""
  bits = _BITS.get(dtype) or int(re.sub(r'\D', '', dtype) or 8)
  return math.prod(int(n) for n in shape.split(',') if n) * bits // 8
