"""A training whose data stop coming: python stuck_process.py WORKDIR SECONDS."""

import sys
import time
from pathlib import Path

from train import loop_test

from gmtalker_jax.core import sharding
from gmtalker_jax.data.batches import Batches, InOrder
from gmtalker_jax.io import writers
from gmtalker_jax.io.checkpoints import Checkpoints
from gmtalker_jax.train import faults, loop


class Dry(Batches):
  def __getitem__(self, index):
    if index == 5:
      time.sleep(3600)
    return super().__getitem__(index)


def main(directory, seconds):
  with Checkpoints(directory / 'checkpoints') as saved:
    loop.fit(
      loop.Run(
        loop_test.toy_stage(),
        Dry(loop_test.ITEMS, loop_test.example, 16, seed=0),
        InOrder(loop_test.ITEMS, loop_test.example, 16),
        loop.Schedule(9, save_every=2, eval_every=0, log_every=1),
        saved,
        lambda step: writers.Writer(directory, step),
        mesh=sharding.make_mesh(),
        faults=faults.Faults(skips=0, rollbacks=0, bad_share=0.0, watchdog_s=seconds),
        progress=False,
      )
    )


if __name__ == '__main__':
  main(Path(sys.argv[1]), float(sys.argv[2]))
