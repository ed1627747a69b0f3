"""One of several training processes.

python toy_group.py WORKDIR STEPS COORDINATOR INDEX COUNT [STUCK WATCHDOG], see toy_process.py.
"""

import os
import sys
from pathlib import Path

import jax

from gmtalker_jax.train import processes


def main(directory, steps, coordinator, index, count, *more):
  processes.join(coordinator, index, count)
  import toy_process  # only now: it touches devices

  with processes.Peers(directory, 6.0, index, count):
    toy_process.main(directory, steps, 0.02, *more)


if __name__ == '__main__':
  jax.config.update('jax_enable_compilation_cache', 'JAX_COMPILATION_CACHE_DIR' in os.environ)
  workdir, steps, coordinator, index, count, *more = sys.argv[1:]
  more = [float(number) for number in more]
  main(Path(workdir), int(steps), coordinator, int(index), int(count), *more)
