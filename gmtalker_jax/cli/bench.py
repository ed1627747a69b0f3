"""Training and sampling of the three generators beside their twins in PyTorch, in one run.

examples:
  gmtalker bench --page docs/performance.md
  gmtalker bench --quick
  gmtalker bench --stage portrait --size full --rounds 9 --json speed.json

The ways in PyTorch: eager; tuned (pictures channels_last, fused Adam); compiled (torch.compile, if
it works here); published (StyleUNet's filters as its authors wrote them). All take turns, so that
what else the machine does hits all alike; a ratio is a way's time over ours in the same round.
"""

import os
import platform
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gmtalker_jax.cli import arguments, extras
from gmtalker_jax.core.errors import InputError, check_choice

_MARKS = '<!-- made by gmtalker bench -->\n', '<!-- until here -->\n'
_STAGES, _SIZES = ('expression', 'motion', 'portrait'), ('demo', 'full')


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker bench`."""
  parser = arguments.Parser('bench', __doc__ or '')
  add = parser.add_argument
  add('--stage', help=f'{", ".join(_STAGES)}; by default all')
  add('--size', help='demo, full; by default both')
  add('--rounds', type=arguments.count, default=7, help='how often each is timed')
  add('--quick', action='store_true', help='smallest networks, two rounds, nothing compiled')
  add('--no-compile', action='store_true', help='without torch.compile, which takes minutes')
  add('--page', metavar='FILE', help='a page whose marked table is made anew')
  add('--json', metavar='FILE', help='a file for the numbers')
  args = parser.read(argv)
  stages = [args.stage] if args.stage else list(_STAGES)
  check_choice('--stage', stages[0], _STAGES)
  sizes = ['smoke'] if args.quick else [args.size] if args.size else list(_SIZES)
  check_choice('--size', sizes[0], (*_SIZES, 'smoke'))
  page = _read(args.page) if args.page else ''
  extras.require('bench', 'torch')
  os.environ.setdefault('KINETO_LOG_LEVEL', '99')  # PyTorch's profiler, which says when it starts
  machine, rows = _machine(), []
  for size in sizes:
    for stage in stages:
      rows += _measure(stage, size, args)
  text = f'{machine}\n\n{table(rows)}'
  print(text)
  if args.page:
    Path(args.page).write_text(_filled(page, text))
  if args.json:
    from gmtalker_jax.io import files

    files.write_json(args.json, {'machine': machine, 'rows': rows})
  return 0


def _measure(stage: str, size: str, args: Any) -> list[dict[str, Any]]:
  import jax

  from gmtalker_jax.cli import bench_cases, bench_clock

  rows = []
  ways = bench_cases.ways(not (args.quick or args.no_compile), True)
  rounds, least = (2, 0.0) if args.quick else (args.rounds, 0.3)
  for work in bench_cases.cases(stage, size, ways):
    print(f'{size} {stage}: {work.name}, {work.about}', file=sys.stderr)
    paces, failed = bench_clock.turns(work.ways, rounds, least, jax.block_until_ready)
    for way in failed:
      print(f'  {way} does not run here: {failed[way]}', file=sys.stderr)
    for way in work.ways:
      rows.append(
        {
          'stage': stage, 'size': size, 'work': work.name, 'about': work.about, 'way': way,
          'flops': work.flops, 'compiled': work.compiled,
          'memory': work.memory[way]() if way in paces else None,
          **(paces[way]._asdict() if way in paces else {'failed': failed[way]}),
        }
      )  # fmt: skip
  return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
  """One line for each thing that is done, with the ratio of each way, in Markdown."""
  ways = [w for w in dict.fromkeys(row['way'] for row in rows) if w != 'ours']
  head = ['', 'with', 'Gflop (compiled)', 'MB ours', *ways]
  lines = [head, ['---'] * len(head)]
  for key in dict.fromkeys((r['size'], r['stage'], r['work']) for r in rows):
    own = {r['way']: r for r in rows if (r['size'], r['stage'], r['work']) == key}
    first = own['ours']
    lines.append(
      [
        ' '.join(key), first['about'],
        f'{first["flops"] / 1e9:.3g} ({first["compiled"] / 1e9:.3g})',
        f'{first["memory"] / 1e6:.3g}', *(_cell(own.get(way)) for way in ways),
      ]
    )  # fmt: skip
  return '\n'.join(f'| {" | ".join(line)} |' for line in lines) + '\n'


def _cell(row: dict[str, Any] | None) -> str:
  if row is None:
    return '-'
  if 'failed' in row:
    return 'does not run'
  spread = f'{row["least"]:.2f} to {row["most"]:.2f}'
  return f'**{row["ratio"]:.2f}** ({spread}), {row["memory"] / 1e6:.3g} MB'


def _machine() -> str:
  """The machine and how busy it is, in words."""
  from importlib.metadata import version

  cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
  model = platform.processor() or platform.machine()
  if Path('/proc/cpuinfo').exists():
    found = re.search(r'^model name\s*: (.+)$', Path('/proc/cpuinfo').read_text(), re.M)
    model = found[1] if found else model
  busy = os.getloadavg()[0] / cores
  return (
    f'{cores} cores ({model}), float32, JAX {version("jax")}, PyTorch {version("torch")}; '
    f'{busy:.1f} other processes wanted each core when it began.'
  )


def _read(path: str) -> str:
  try:
    page = Path(path).read_text()
  except FileNotFoundError:
    raise InputError(f'got no file {path!r}, expected a page with the marks of a table') from None
  if not all(page.count(mark) == 1 for mark in _MARKS):
    raise InputError(f'got {path!r}, expected one line each {" and ".join(_MARKS)!r}')
  return page


def _filled(page: str, text: str) -> str:
  before, rest = page.split(_MARKS[0])
  return f'{before}{_MARKS[0]}\n{text}\n{_MARKS[1]}{rest.split(_MARKS[1])[1]}'
