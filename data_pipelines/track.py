"""One face through a clip: landmarks frame by frame, the longest steady track, and a fixed crop."""

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np

from gmtalker_jax.face import camera
from gmtalker_jax.face import landmarks as names
from gmtalker_jax.face.landmark_model import LandmarkModel

from . import fit as fitting
from .landmarker import Face, Landmarker, Region, region_of

_GAP = 10  # frames that the face may be lost for without ending a track
# How far, in sides of the face's region, and by what factor in size a face may change: from frame
# to frame (a cut changes more), and since the track began (or it would leave the fixed crop).
_JUMP = (0.6, 1.6)
_DRIFT = (0.45, 1.4)
_TILES_EVERY = 5  # frames without a face that are searched in tiles, which is slow
_CROP_FRAMES = 24  # frames that place the crop


class Crop(NamedTuple):
  """The fixed square of a clip that is the picture of the camera: centre [2] and side, pixels."""

  centre: np.ndarray
  side: float

  @property
  def head_width(self) -> float:
    """Pixels of a head width, for a head at the origin."""
    return self.side * camera.DEFAULT.focal / camera.DEFAULT.distance

  def to_units(self, points: np.ndarray) -> np.ndarray:
    """Pixels of the video [..., 2] to crop units (x right, y up, from the middle, in sides)."""
    return ((points - self.centre) / self.side * np.array([1, -1])).astype(np.float32)

  def within(self, frame: tuple[int, int]) -> 'Crop':
    """The crop of a picture, [width, height]: moved and shrunk until none lies beyond its edge.

    Then the head is nearer to the camera than at rest, and beside the middle.
    """
    side = min(self.side, *frame)
    room = (np.array(frame) - side) / 2
    middle = np.array(frame) / 2
    return Crop(np.clip(self.centre, middle - room, middle + room), float(side))

  def cut(self, frame: np.ndarray, size: int) -> np.ndarray:
    """The crop of a frame, uint8 [size, size, 3]; beyond its edge the frame is mirrored."""
    scale = self.side / size
    low = (self.centre - self.side / 2) / scale
    if scale > 1:  # bilinear sampling would skip pixels
      frame = cv2.resize(frame, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_AREA)
      inverse = np.array([[1, 0, low[0]], [0, 1, low[1]]])
    else:
      inverse = np.array([[scale, 0, low[0] * scale], [0, scale, low[1] * scale]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
      frame, inverse, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT_101
    )


class Track(NamedTuple):
  """A face followed: landmarks [T, 478, 2] in pixels, scores [T, 52], valid [T] bool.

  `start` is the frame of the clip that the track begins at, `total` the frames of the clip,
  `faces` the most faces that were seen at once where the face was looked for, and `frame` width
  and height of the video in pixels. Rows that are not valid hold zeros.
  """

  landmarks: np.ndarray
  scores: np.ndarray
  valid: np.ndarray
  start: int
  total: int
  faces: int
  frame: tuple[int, int]


def track(frames: Iterable[np.ndarray], landmarker: Landmarker) -> Track | None:
  """Follows the largest face of a clip, uint8 [H, W, 3] RGB frames; None where there is none.

  A face that jumps or has moved far is another face or another shot (or the camera zooms): the
  track that shows the most of a face (area times frames) is kept, the rest of the clip is not.
  """
  landmarker.reset()
  faces, crowd, frame = [], 0, np.zeros((0, 0))
  for i, frame in enumerate(frames):
    faces.append(landmarker.track(frame, tiles=i % _TILES_EVERY == 0))
    if i in (0, 25):
      crowd = max(crowd, len(landmarker.detect(frame)))
  spans = _spans(faces)
  if not spans:
    return None
  start, end = max(spans, key=lambda span: _weight(faces[span[0] : span[1]]))
  kept = faces[start:end]
  valid = np.array([face is not None for face in kept])
  landmarks = np.stack([face.landmarks[:, :2] if face else _NO_LANDMARKS for face in kept])
  scores = np.stack([face.scores if face else _NO_SCORES for face in kept])
  return Track(landmarks, scores, valid, start, len(faces), crowd, frame.shape[1::-1])


def place(model: LandmarkModel, track: Track) -> Crop:
  """The square in which the head is as large and as central as the camera sees it at rest.

  Then the translations of the clip are about zero, and the head is about 0.43 of the side wide.
  """
  points = track.landmarks[track.valid]
  points = points[np.unique(np.linspace(0, len(points) - 1, _CROP_FRAMES).astype(int))]
  crop = Crop(points.mean((0, 1)), float(names.outer_eye_distance(points).max()) / 0.2)
  for _ in range(4):  # a fixed point: the perspective depends on the crop a little
    pose = fitting.initial_pose(model.mean, crop.to_units(points), fitting.landmark_weights(model))
    x, y, z = np.median(pose.translation, axis=0)
    side = crop.side * camera.DEFAULT.distance / (camera.DEFAULT.distance - z)
    crop = Crop(crop.centre + crop.head_width * np.array([x, -y]), float(side))
  return crop


def seen(track: Track, crop: Crop) -> tuple[np.ndarray, np.ndarray]:
  """What `fit.fit` takes of the valid frames: landmarks [N, 478, 2] in crop units, scores."""
  return crop.to_units(track.landmarks[track.valid]), track.scores[track.valid]


def fit_track(
  model: LandmarkModel, track: Track, crop: Crop, shape: fitting.Shape | None = None
) -> fitting.Fit:
  """Fits the valid frames of a track; in between, coefficients are interpolated."""
  valid = np.flatnonzero(track.valid)
  some = fitting.fit(model, *seen(track, crop), shape)

  def fill(rows: np.ndarray) -> np.ndarray:
    flat = rows.reshape(len(rows), -1)
    frames = np.arange(len(track.valid))
    columns = [np.interp(frames, valid, column) for column in flat.T]
    return np.stack(columns, 1).reshape(len(frames), *rows.shape[1:]).astype(np.float32)

  return some._replace(
    blendshapes=fill(some.blendshapes), motion=fill(some.motion), landmarks=fill(some.landmarks)
  )


_NO_LANDMARKS = np.zeros((names.COUNT, 2), np.float32)
_NO_SCORES = np.zeros(52, np.float32)


def _spans(faces: list[Face | None]) -> list[tuple[int, int]]:
  """Runs [start, end) of the same face, cut where it jumps, is lost for long, or has moved away."""
  spans: list[tuple[int, int]] = []
  first = last = None
  for i, face in enumerate(faces):
    if face is None:
      continue
    region = region_of(face.landmarks)
    first, last = first or region, last or region
    steady = bool(spans) and i - spans[-1][1] < _GAP
    if steady and _near(region, last, *_JUMP) and _near(region, first, *_DRIFT):
      spans[-1] = (spans[-1][0], i + 1)
    else:
      spans.append((i, i + 1))
      first = region
    last = region
  return spans


def _near(a: Region, b: Region, move: float, grow: float) -> bool:
  """Whether regions differ by less than `move` sides in place and a factor `grow` in size."""
  side = max(a.side, b.side)
  gap = float(np.linalg.norm(a.centre - b.centre))
  return gap < move * side and min(a.side, b.side) * grow > side


def _weight(faces: list[Face | None]) -> float:
  return sum(region_of(face.landmarks).side ** 2 for face in faces if face is not None)
