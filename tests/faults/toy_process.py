"""A training process to be killed, or that stops by itself.

python toy_process.py WORKDIR STEPS SECONDS_PER_STEP [STUCK WATCHDOG]: the batch of step STUCK never
comes (0 = all do), and WATCHDOG seconds later somebody notices.
"""

import logging
import sys
import time
from pathlib import Path

import toy_loop

from gmtalker_jax.core import sharding
from gmtalker_jax.data.batches import Batches, InOrder
from gmtalker_jax.io import writers
from gmtalker_jax.io.checkpoints import Checkpoints
from gmtalker_jax.train import faults, loop


def main(directory, steps, seconds, stuck=0, watchdog=0.0):
  class Slow(Batches):
    def __getitem__(self, index):
      time.sleep(3600 if index == stuck - 1 else seconds)
      return super().__getitem__(index)

  logging.basicConfig()
  with Checkpoints(directory / 'checkpoints', keep=3) as saved:
    loop.fit(
      loop.Run(
        toy_loop.toy_stage(),
        Slow(toy_loop.ITEMS, toy_loop.example, 16, seed=0),
        InOrder(toy_loop.ITEMS, toy_loop.example, 16),
        loop.Schedule(steps, save_every=2, eval_every=0, log_every=1),
        saved,
        lambda step: writers.Writer(directory, step),
        mesh=sharding.make_mesh(),
        faults=faults.Faults(skips=0, rollbacks=0, bad_share=0.0, watchdog_s=watchdog),
        progress=False,
      )
    )


if __name__ == '__main__':
  main(Path(sys.argv[1]), int(sys.argv[2]), *(float(number) for number in sys.argv[3:]))
