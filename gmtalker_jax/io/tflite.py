"""Runs a network in a .tflite file on LiteRT, which comes with gmtalker_jax[prepare]."""

from collections.abc import Callable
from typing import Any

import numpy as np

from gmtalker_jax.core.errors import InputError

Network = Callable[[np.ndarray], np.ndarray]


def load(blob: bytes, what: str) -> Network:
  """Returns float32 [N, ...] -> the first output [N, ...] of a network with one input.

  Args:
    blob: the file.
    what: the network in words, for the error.

  Raises:
    InputError: LiteRT is not installed, or this is no network.
  """
  runner = _interpreter(blob, what)
  runner.allocate_tensors()
  given, made = runner.get_input_details()[0], runner.get_output_details()[0]

  def run(batch: np.ndarray) -> np.ndarray:
    batch, size = np.asarray(batch, np.float32), given['shape'][0]  # that of a batch is in the file
    found = []
    for start in range(0, len(batch), size):
      part = np.minimum(np.arange(start, start + size), len(batch) - 1)
      runner.set_tensor(given['index'], batch[part])
      runner.invoke()
      found.append(runner.get_tensor(made['index']).copy())
    return np.concatenate(found)[: len(batch)]

  return run


def _interpreter(blob: bytes, what: str) -> Any:
  try:
    from ai_edge_litert.interpreter import Interpreter
  except ModuleNotFoundError:
    raise InputError(
      f"got no package 'ai_edge_litert', expected it for {what}; "
      "run: pip install 'gmtalker_jax[prepare]'"
    ) from None
  try:
    return Interpreter(model_content=blob)
  except ValueError as error:
    reason = str(error).splitlines()[0][:80] if str(error) else 'unknown'
    raise InputError(
      f'got a file that is no network ({reason}), expected {what}; install its carrier again'
    ) from None
