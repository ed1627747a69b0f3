"""What a compiled program moves in and out of a chip's memory, read from its HLO text.

The compiler's own count has the arrays in it that never leave the fast memory on the chip (VMEM,
the space `S(1)` of a TPU's layouts); on small networks these are most.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gmtalker_jax.core import hlo

_INSTRUCTION = re.compile(r'\s+(?:ROOT )?%?([\w.-]+) = (.+?) ([a-z][a-z-]*)\((.*)$')
_NAME = re.compile(r'%([\w.-]+)')
_CALLED = re.compile(r'\b(?:calls|to_apply|body|branch_computations)=(\{[^}]*\}|\S+)')
_WHERE = re.compile(r'op_name="([^"]*)"')
# Names for what is there already; the end of what began, and was counted, before.
_FREE = {
  'parameter', 'constant', 'tuple', 'get-tuple-element', 'bitcast', 'after-all', 'opt-barrier',
  'partition-id', 'replica-id',
}  # fmt: skip
_PRODUCTS = {'convolution', 'dot'}
_PARTS = {
  'copy-start': 'prefetches', 'slice-start': 'prefetches',
  'copy': 'layouts', 'transpose': 'layouts', 'reshape': 'layouts',
}  # fmt: skip


class Move(NamedTuple):
  """One instruction that runs, with what it reads and writes."""

  kind: str  # 'fusion', 'convolution', 'copy', ...
  where: str  # the operation that it was made of, as JAX names it
  size: int  # bytes
  product: bool  # it is, or holds, a matrix product or a convolution


class _Instruction(NamedTuple):
  name: str
  shape: str
  kind: str
  rest: str


def moves(text: str) -> list[Move]:
  """The instructions of a compiled module; a loop's body counts once, of branches the dearest.

  Args:
    text: `compiled.as_text()`.
  """
  rooms, entry = _read(text)
  return list(_within(rooms, entry))


def by_part(found: Iterable[Move]) -> dict[str, int]:
  """Bytes of products, of prefetches into a TPU's fast memory, of new layouts, and of the rest.

  Where nothing is left to fuse all of it goes to and from products, their prefetches, and what
  must be read and written anyway: the state.
  """
  parts = {'products': 0, 'prefetches': 0, 'layouts': 0, 'rest': 0}
  for move in found:
    parts['products' if move.product else _PARTS.get(move.kind, 'rest')] += move.size
  return parts


def by_operation(found: Iterable[Move]) -> list[tuple[str, int]]:
  """(what, bytes): the moves of one operation of the source together, the most first."""
  total: Counter[str] = Counter()
  for move in found:
    total[f'{move.where or "(made by the compiler)"}: {move.kind}'] += move.size
  return total.most_common()


def _read(text: str) -> tuple[dict[str, list[_Instruction]], str]:
  rooms: dict[str, list[_Instruction]] = {}
  entry = within = ''
  for line in text.splitlines():
    if opened := hlo.COMPUTATION.match(line):
      within = opened[2]
      entry = within if opened[1] else entry
      rooms[within] = []
    elif within and (found := _INSTRUCTION.match(line)):
      rooms[within].append(_Instruction(*found.groups()))
  return rooms, entry


def _within(rooms: dict[str, list[_Instruction]], room: str) -> Iterator[Move]:
  sizes: dict[str, int] = {}
  for each in rooms[room]:
    sizes[each.name] = sum(_arrays(each.shape))
    called = [name for group in _CALLED.findall(each.rest) for name in _NAME.findall(group)]
    if each.kind in ('while', 'call'):
      for name in called:
        yield from _within(rooms, name)
    elif each.kind == 'conditional':
      branches = [list(_within(rooms, name)) for name in called]
      yield from max(branches, key=lambda branch: sum(move.size for move in branch))
    elif each.kind not in _FREE and not each.kind.endswith(('-done', '-update')):
      where = _WHERE.search(each.rest)
      yield Move(
        each.kind, where[1] if where else '', _size(each, sizes), _is_product(rooms, each, called)
      )


def _size(each: _Instruction, sizes: dict[str, int]) -> int:
  if each.kind in ('copy-start', 'slice-start'):  # names both ends; the smaller one is moved
    moved = min(hlo.bytes_of(*found[:2]) for found in hlo.ARRAY.findall(each.shape) if found[1])
    return moved if 'S(1)' in each.shape else 2 * moved
  operands = set(_NAME.findall(each.rest.split('), ')[0]))
  return sizes[each.name] + sum(sizes.get(name, 0) for name in operands)


def _arrays(shape: str) -> list[int]:
  """Bytes of each array in the chip's memory."""
  return [
    hlo.bytes_of(dtype, sides)
    for dtype, sides, layout in hlo.ARRAY.findall(shape)
    if 'S(' not in layout
  ]


def _is_product(
  rooms: dict[str, list[_Instruction]], each: _Instruction, called: list[str]
) -> bool:
  inner = (_is_product(rooms, x, []) for name in called for x in rooms.get(name, ()))
  return each.kind in _PRODUCTS or any(inner)
