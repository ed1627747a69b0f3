"""One of several training processes.

python toy_group.py WORKDIR STEPS COORDINATOR INDEX COUNT PATIENCE [STUCK WATCHDOG]

PATIENCE: seconds without a sign after which the other process is lost; else see toy_process.py.
"""

import os
import sys
from pathlib import Path

import jax

from gmtalker_jax.train import processes


def main(directory, steps, coordinator, index, count, patience, *more):
  processes.join(coordinator, index, count)
  import toy_process  # only now: it touches devices

  with processes.Peers(directory, patience, index, count):
    toy_process.main(directory, steps, 0.02, *more)


if __name__ == '__main__':
  jax.config.update('jax_enable_compilation_cache', 'JAX_COMPILATION_CACHE_DIR' in os.environ)
  workdir, steps, coordinator, index, count, *more = sys.argv[1:]
  more = [float(number) for number in more]  # patience among them
  main(Path(workdir), int(steps), coordinator, int(index), int(count), *more)
