"""One of several training processes: python toy_group.py WORKDIR STEPS COORDINATOR INDEX COUNT."""

import os
import sys
from pathlib import Path

import jax

from gmtalker_jax.train import processes


def main(directory, steps, coordinator, index, count):
  processes.join(coordinator, index, count)
  import toy_process  # only now: it touches devices

  with processes.Peers(directory, 6.0, index, count):
    toy_process.main(directory, steps, 0.02)


if __name__ == '__main__':
  jax.config.update('jax_enable_compilation_cache', 'JAX_COMPILATION_CACHE_DIR' in os.environ)
  main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
