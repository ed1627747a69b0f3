"""Plan a training for a pod that is not here: its step is compiled for that pod, and not run.

examples:
  gmtalker plan --config=configs/portrait.py --topology=v5e:2x2,v5e:16x16 --per-chip 4 --fast
  gmtalker plan --config=configs/expression.py --topology=v5p:4x4x4 --config.mesh=1xall
  gmtalker plan --config=configs/portrait.py --topology=v5e:2x2 --count
  gmtalker plan --config=configs/motion.py \\
    --topology=gpu:8,memory=80e9,flops=989e12,bandwidth=3.35e12,link=450e9

TPUs (v5e, v5p, v6e) need the extra `plan`, which brings their compiler. A GPU is given by its
numbers, and the CPU's compiler stands in: take its memory and its bytes as estimates. --count
compiles nothing and needs no extra: it counts the flops as the step is written. --fast lets the
compiler try less (minutes for the portrait, not tens of them): memory and traffic are then
estimates.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gmtalker_jax.cli import arguments, extras, train

_GB = 1e9


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker plan`; 1 if the step does not fit somewhere."""
  parser = arguments.Parser('plan', __doc__ or '')
  add = parser.add_argument
  add('--topology', required=True, help='one, or several TPUs with commas')
  add('--per-chip', type=arguments.count, help='examples (config.data.batch_size over all chips)')
  add('--encoder', default='', help='of speech (the built-in one)')
  add('--subjects', type=arguments.count, default=64, help='training people')
  add('--latent-dim', type=arguments.count, default=256, help='of z_gm, for the portrait')
  add('--count', action='store_true', help='only the bytes of the state and the flops as written')
  add('--quick', action='store_true', help='do not look for the largest batch')
  add('--fast', action='store_true', help='the compiler tries less: for the portrait')
  add('--where', type=arguments.whole, default=0, help='list so many operations that move the most')
  add('--price', type=arguments.not_negative, help='of one chip for one hour')
  add('--json', help='a file for the numbers')
  args, rest = parser.parse_known_args(argv)
  config, _ = train.read_flags([*rest, '--workdir=.'])
  names = [args.topology] if args.topology.startswith('gpu') else args.topology.split(',')
  _begin(names, args.count, args.fast)
  columns = [_numbers(config, name, args) for name in names]
  _print(columns, _COUNTED if args.count else (*_ROWS, 'fits'))
  for column in columns:
    for what, size in column.get('traffic by operation', ()):
      print(f'{column["topology"]}: {size / 1e6:8.1f} MB  {what}')
  if not all(column.get('exact', True) for column in columns):
    print('The CPU compiler stood in: memory and bytes are estimates.')
  elif args.fast and not args.count:
    print('The compiler tried less than it will: memory and traffic are estimates.')
  if args.json:
    Path(args.json).write_text(json.dumps(columns, indent=1) + '\n')
  return int(not all(column['fits'] for column in columns))


def _begin(names: Sequence[str], count_only: bool = False, fast: bool = False) -> None:
  """Checks the names and, before JAX starts, keeps it from real devices."""
  from gmtalker_jax.core import topology

  count = max(topology.parse(name)[2] for name in names)
  stand_in = count_only or names[0].startswith('gpu')
  if not stand_in:
    extras.require('plan', 'plan')
  os.environ['JAX_PLATFORMS'] = 'cpu'
  if stand_in:  # the CPU stands in, once for each
    flags = os.environ.get('XLA_FLAGS', '')
    os.environ['XLA_FLAGS'] = f'{flags} --xla_force_host_platform_device_count={count}'
  # libtpu asks the network and the machine what it runs on, and locks a device; there is none.
  os.environ.setdefault('TPU_SKIP_MDS_QUERY', '1')
  os.environ.setdefault('TPU_ACCELERATOR_TYPE', 'v5litepod-4')
  os.environ.setdefault('TPU_WORKER_HOSTNAMES', 'localhost')
  os.environ.setdefault('ALLOW_MULTIPLE_LIBTPU_LOAD', '1')
  os.environ.setdefault('TPU_MIN_LOG_LEVEL', '3')
  import jax

  if not stand_in:
    jax.config.update('jax_enable_compilation_cache', False)  # JAX cannot read such programs back
  if fast:
    jax.config.update('jax_exec_time_optimization_effort', -1.0)
    jax.config.update('jax_memory_fitting_effort', -1.0)


def _numbers(config: Any, name: str, args: Any) -> dict[str, Any]:
  """All that is known of one topology, in bytes, flops and seconds of one chip."""
  from gmtalker_jax import speech
  from gmtalker_jax.core import topology, traffic
  from gmtalker_jax.data import schema
  from gmtalker_jax.train import plan as plans

  sizes = {
    'speech_dim': speech.dimension(args.encoder or speech.DEFAULT),
    'expression_dim': len(schema.EXPRESSION_NAMES),
    'motion_dim': len(schema.MOTION_NAMES),
    'subjects': args.subjects,
    'latent_dim': args.latent_dim,
  }
  place = topology.find(name, args.count)
  try:
    found = plans.make(config, place, sizes, args.per_chip or 0, args.count)
  except plans.TooLarge as needed:
    return {'topology': name, 'fits': False, 'reason': str(needed)}
  step = max(found.seconds.values())
  hours = config.steps * step * found.chips / 3600
  return {
    'stage': found.stage,
    'topology': name,
    'chips': found.chips,
    'examples per chip': found.batch,
    'examples per chip, at most': None
    if args.quick or args.count
    else plans.largest(config, place, sizes, found),
    'parameter bytes': found.params,
    'optimizer bytes': found.optimizer,
    'average bytes': found.average,
    'memory bytes': found.memory,
    'headroom bytes': found.headroom,
    'flops': found.flops,
    'flops as written': found.written,
    'memory traffic bytes': found.moved,
    'traffic by part': traffic.by_part(found.moves),
    'traffic by operation': traffic.by_operation(found.moves)[: args.where],
    'loops': found.loops,
    'collectives': found.collectives,
    'interconnect bytes': found.sent,
    'roofline seconds': found.seconds,
    'step seconds, at least': step,
    'compile seconds': found.compile_seconds,
    'steps': config.steps,
    'chip-hours, at least': hours,
    'cost, at least': None if args.price is None else hours * args.price,
    'fits': found.headroom >= 0,
    'exact': place.exact or args.count,
  }


def _print(columns: Sequence[dict[str, Any]], shown: Sequence[str]) -> None:
  rows = [['', *(column['topology'] for column in columns)]]
  for label in shown:
    cells = [_cell(label, column) for column in columns]
    if any(cells):
      rows.append([label, *cells])
  widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
  for number, row in enumerate(rows):
    print(
      '| ' + ' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + ' |'
    )
    if not number:
      print('|' + '|'.join('-' * (width + 2) for width in widths) + '|')


def _cell(label: str, column: dict[str, Any]) -> str:
  if label == 'fits':
    return 'yes' if column['fits'] else f'no: {column.get("reason", "see headroom")}'
  return '-' if 'reason' in column else _ROWS[label](column)


def _limits(column: dict[str, Any]) -> str:
  name, _ = max(column['roofline seconds'].items(), key=lambda item: item[1])
  each = ' / '.join(f'{1e3 * s:.3g}' for s in column['roofline seconds'].values())
  return f'{each} ({name})'


def _collectives(column: dict[str, Any]) -> str:
  return ', '.join(f'{n} {kind}' for kind, n in column['collectives'].items()) or 'none'


_ROWS = {
  'chips': lambda c: str(c['chips']),
  'examples per chip': lambda c: str(c['examples per chip']),
  'examples per chip that fit': lambda c: str(c['examples per chip, at most'] or ''),
  'parameters, optimizer, average [GB/chip]': lambda c: ' + '.join(
    f'{c[name] / _GB:.3f}' for name in ('parameter bytes', 'optimizer bytes', 'average bytes')
  ),
  'memory at the peak [GB/chip]': lambda c: f'{c["memory bytes"] / _GB:.2f}',
  'headroom [GB/chip]': lambda c: f'{c["headroom bytes"] / _GB:.2f}',
  'Gflop per chip and step': lambda c: f'{c["flops"] / 1e9:.1f}',
  'Gflop as written': lambda c: f'{c["flops as written"] / 1e9:.1f}',
  'loops, of which each counts once': lambda c: str(c['loops'] or ''),
  'collectives': _collectives,
  'interconnect [MB/chip]': lambda c: f'{c["interconnect bytes"] / 1e6:.1f}',
  'memory traffic [GB/chip]': lambda c: f'{c["memory traffic bytes"] / _GB:.3g}',
  'products + prefetches + layouts + rest': lambda c: ' + '.join(
    f'{size / _GB:.3g}' for size in c['traffic by part'].values()
  ),
  'compute / memory / interconnect [ms]': _limits,
  'step [ms], at least': lambda c: f'{1e3 * c["step seconds, at least"]:.3g}',
  'compiler [s]': lambda c: f'{c["compile seconds"]:.0f}',
  'chip-hours of the run, at least': lambda c: f'{c["chip-hours, at least"]:.3g}',
  'cost of the run, at least': lambda c: (
    '' if c['cost, at least'] is None else f'{c["cost, at least"]:.3g}'
  ),
}
_COUNTED = (
  'chips', 'examples per chip', 'parameters, optimizer, average [GB/chip]', 'Gflop as written',
  'step [ms], at least', 'chip-hours of the run, at least', 'cost of the run, at least',
)  # fmt: skip
