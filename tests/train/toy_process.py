"""A training process to be killed: python toy_process.py WORKDIR STEPS SECONDS_PER_STEP."""

import logging
import sys
import time
from pathlib import Path

import loop_test

from gmtalker_jax.core import sharding
from gmtalker_jax.data.batches import Batches, InOrder
from gmtalker_jax.io import writers
from gmtalker_jax.io.checkpoints import Checkpoints
from gmtalker_jax.train import loop


def main(directory, steps, seconds):
  def slow(item, rng):
    time.sleep(seconds / 16)
    return loop_test.example(item, rng)

  logging.basicConfig()
  with Checkpoints(directory / 'checkpoints', keep=3) as saved:
    loop.fit(
      loop.Run(
        loop_test.toy_stage(),
        Batches(loop_test.ITEMS, slow, 16, seed=0),
        InOrder(loop_test.ITEMS, loop_test.example, 16),
        loop.Schedule(steps, save_every=2, eval_every=0, log_every=1),
        saved,
        lambda step: writers.Writer(directory, step),
        mesh=sharding.make_mesh(),
        progress=False,
      )
    )


if __name__ == '__main__':
  main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
