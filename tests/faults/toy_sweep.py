"""`gmtalker sweep` whose `gmtalker train` is a toy: it counts, and goes on where it was killed.

toy_sweep.py FILE --out DIR ...      the real sweep, with `toy_sweep.py train ...` for the runs
"""

import os
import sys
import time
from pathlib import Path

STEPS = 6


def train(words):
  flags = dict(word.removeprefix('--').split('=', 1) for word in words)
  work, seed = Path(flags['workdir']), int(flags['config.seed'])
  work.mkdir(parents=True, exist_ok=True)
  count = work / 'count'
  with (work / 'starts').open('a') as starts:
    starts.write(f'{os.getpid()}\n')
  (work / 'devices').write_text(os.environ.get('CUDA_VISIBLE_DEVICES', 'all'))
  rate = float(flags['config.optimizers.generator.rate'])
  if rate > 1:
    sys.stderr.write('gmtalker: train/generator/loss is nan at step 1\n')
    return 1
  for step in range(int(count.read_text()) if count.is_file() else 0, STEPS):
    time.sleep(float(os.environ.get('TOY_SECONDS', '0.02')))
    part = count.with_suffix('.part')
    part.write_text(str(step + 1))
    part.replace(count)
  with (work / 'ends').open('a') as ends:
    ends.write(f'{os.getpid()}\n')
  steps = int(flags['config.steps'])
  (work / 'final.json').write_text(f'{{"step": {steps}, "test/rec": {seed + 100 * rate}}}')
  return 0


if __name__ == '__main__':
  if sys.argv[1] == 'train':
    sys.exit(train(sys.argv[2:]))
  from gmtalker_jax.cli import sweep

  sys.exit(sweep.main(sys.argv[1:], program=(sys.executable, __file__)))
