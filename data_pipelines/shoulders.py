"""Watches the shoulders in videos of a person: what they look like, and how they sway.

A picture of them at rest and a projective map for each frame are found in turn, by enhanced
correlation (Evangelidis and Psarakis, 2008): first as a rigid motion, then whole. What belongs to
them is what is steadier when their sway is taken out: below a skyline, since whatever stands on the
lower edge of the picture hangs together.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d, median_filter

from gmtalker_jax.data import schema, source
from gmtalker_jax.face import camera
from gmtalker_jax.face import landmarks as names
from gmtalker_jax.face.bust import Bust

from . import spooled
from . import sway as maps

SIDE = 256  # pixels, at most, of the picture of the shoulders
SHOTS = 200  # frames that say enough of them
_RIGID, _WHOLE = cv2.MOTION_EUCLIDEAN, cv2.MOTION_HOMOGRAPHY
_FINE = 96  # pixels of a side from where on shoulders tell the whole map
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)
_BLUR = 5  # pixels of the filter within the search
_UNIT = camera.DEFAULT.focal / camera.DEFAULT.distance  # sides of the picture per head width
_FAR = 0.12  # sides from what the head says: a frame whose shoulders are there was not found
_SOFT = 0.02  # sides: how gently the skyline fades in
_SKYLINE = 0.08, 0.02  # sides over which it is steady: median, then Gaussian
_NOISE = 1e-5  # variance of grey 0..1 that is none: flat cloth and flat wall say nothing
_GAIN = 0.2  # share of the shoulders' variance that their sway must explain
_RIDGE = 1 / 150  # of the samples: how much 'the head says nothing' weighs


class Clip(NamedTuple):
  """A spooled clip of T frames."""

  path: Path  # see spooled.py
  landmarks: np.ndarray  # [T, 478, 2] of the fitted head, crop units (track.Crop)
  training: np.ndarray  # [N] frames that may be learnt from


class Watched(NamedTuple):
  """Shoulders, and their sway [T, 8] in every clip."""

  bust: Bust
  sways: list[np.ndarray]


class _Shots(NamedTuple):
  """N frames to learn from."""

  colour: np.ndarray  # uint8 [N, R, R, 3]
  grey: np.ndarray  # [N, R, R] 0..1
  pose: np.ndarray  # [N, 6]
  clip: np.ndarray  # [N] which clip
  free: np.ndarray  # [R, R] 1 = below the mouth, and the face never comes there


def watch(clips: Sequence[Clip]) -> Watched | None:
  """Finds the shoulders in clips of one person in the same clothes before a fixed camera.

  Returns None where there is nothing to gain: none are seen, they rest, or they are not the same.
  """
  shots = _shots(clips)
  if len(shots.grey) < 2:
    return None
  cover, sways = _learn(shots)
  if not cover.any() or _gain(shots, cover, sways) < _GAIN:
    return None
  reference, said = _plate(shots.grey, sways), _regress(shots.pose, sways)
  kind = _kind(shots.grey)
  poses, found = zip(
    *[_search_all(clip, reference, cover, said, kind) for clip in clips], strict=True
  )
  learnt = [
    np.concatenate([rows[clip.training] for rows, clip in zip(of, clips, strict=True)])
    for of in (poses, found)
  ]
  return Watched(Bust(_picture(shots, sways, cover), _regress(*learnt)), list(found))


def _learn(shots: _Shots) -> tuple[np.ndarray, np.ndarray]:
  """Cover [R, R] of the shoulders at rest, and the sways [N, 8] of the shots."""
  cover = shots.free
  translation = shots.pose[:, schema.TRANSLATION]
  middle = np.abs(shots.pose - np.median(shots.pose, 0)).sum(1).argmin()
  reference = shots.grey[middle]
  sways = np.zeros((len(shots.pose), len(schema.SWAY_NAMES)))
  sways[:, [2, 5]] = _UNIT * (translation - translation[middle])[:, :2]  # as the head, to begin
  for kind in (_RIGID, _RIGID, _RIGID, _kind(shots.grey), _kind(shots.grey)):
    sways = np.stack([
      _search(reference, picture, cover, guess, kind)
      for picture, guess in zip(shots.grey, sways, strict=True)
    ])  # fmt: skip
    sways = maps.centred(sways)
    reference = _plate(shots.grey, sways)
    cover = _cover(shots.grey, sways, shots.free)
    if not cover.any():
      break
  return cover, sways


def _cover(grey: np.ndarray, sways: np.ndarray, free: np.ndarray) -> np.ndarray:
  """[R, R] 0..1 where taking the sway out leaves less variance than leaving it in."""
  size = len(free)
  gain = (grey.var(0) - _still(grey, sways).var(0) - _NOISE) * free
  gain = gaussian_filter(gain, 0.01 * size)
  over = np.cumsum(gain[::-1], 0)  # of all from the lower edge up to a row
  height = np.where(over.max(0) > 0, over.argmax(0) + 1, 0).astype(np.float32)
  height = median_filter(height, round(_SKYLINE[0] * size) | 1, mode='nearest')
  height = gaussian_filter1d(height, _SKYLINE[1] * size, mode='nearest')
  up = size - np.arange(size)[:, None] - 0.5
  return (np.clip((height - up) / (_SOFT * size) + 0.5, 0, 1) * (height > 1)).astype(np.float32)


def _gain(shots: _Shots, cover: np.ndarray, sways: np.ndarray) -> float:
  """Share of what changes under the cover, within clips, that one picture and its sways explain.

  That of the clip that they explain worst: below 0 where it shows other clothes.
  """
  under = cover > 0.5
  resting = _still(shots.grey, sways)[:, under]
  left = ((resting - np.median(resting, 0)) ** 2).mean(1)
  clips = [shots.clip == clip for clip in np.unique(shots.clip)]
  whole = np.mean([shots.grey[mine][:, under].var(0).mean() for mine in clips])
  return float(1 - max(left[mine].mean() for mine in clips) / max(whole, 1e-9))


def _picture(shots: _Shots, sways: np.ndarray, cover: np.ndarray) -> np.ndarray:
  """[R, R, 4] in steps of 1/255; black where nothing is covered, for the file's sake."""
  levels = np.round(np.c_[_plate(shots.colour, sways), 255 * cover[..., None]])
  return (levels * (levels[..., 3:] > 0) / 255).astype(np.float32)


def _search_all(
  clip: Clip, reference: np.ndarray, cover: np.ndarray, follows: np.ndarray, kind: int
) -> tuple[np.ndarray, np.ndarray]:
  """Pose [T, 6] and sway [T, 8] of every frame; what the head says where none is found."""
  record, pictures = _record(clip)
  pose = record['motion'][:, :6]
  said = follows[0] + pose @ follows[1:]
  found = [
    _search(reference, _grey(picture), cover, guess, kind) if valid else guess
    for picture, guess, valid in zip(pictures, said, record['valid'], strict=True)
  ]
  return pose, np.stack(found).astype(np.float32)


def _search(
  reference: np.ndarray, picture: np.ndarray, cover: np.ndarray, guess: np.ndarray, kind: int
) -> np.ndarray:
  """The sway [8] that brings the reference onto a picture; the guess where there is none."""
  size = len(picture)
  begin = maps.matrix(maps.rigid(guess) if kind == _RIGID else guess, size).astype(np.float32)
  there = cv2.warpPerspective(cover, begin, (size, size), borderMode=cv2.BORDER_REPLICATE)
  mask = ((there > 0.5) * 255).astype(np.uint8)
  begin = begin[:2] if kind == _RIGID else begin  # as OpenCV has them
  try:
    _, found = cv2.findTransformECC(reference, picture, begin, kind, _STOP, mask, _BLUR)
  except cv2.error:  # it does not converge
    return guess
  sway = maps.from_matrix(np.concatenate([found, [[0, 0, 1]]])[:3], size)
  return sway if np.abs(maps.corners(sway) - maps.corners(guess)).max() < _FAR else guess


def _kind(pictures: np.ndarray) -> int:
  return _WHOLE if pictures.shape[1] >= _FINE else _RIGID


def _still(pictures: np.ndarray, sways: np.ndarray) -> np.ndarray:
  """Pictures [N, R, R, ...] with the shoulders brought to rest."""
  size = pictures.shape[1]
  flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
  return np.stack([
    cv2.warpPerspective(
      p, maps.matrix(s, size), (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    for p, s in zip(pictures, sways, strict=True)
  ])  # fmt: skip


def _plate(pictures: np.ndarray, sways: np.ndarray) -> np.ndarray:
  """The shoulders at rest: the median, which forgets hands."""
  return np.median(_still(pictures, sways), 0).astype(np.float32)


def _regress(pose: np.ndarray, sways: np.ndarray) -> np.ndarray:
  """[7, 8]: the sway that poses [N, 6] tell, see Bust.follows."""
  middle, spread = pose.mean(0), pose.std(0) + 1e-4
  x, y = (pose - middle) / spread, sways - sways.mean(0)
  slopes = np.linalg.solve(x.T @ x + _RIDGE * len(x) * np.eye(6), x.T @ y) / spread[:, None]
  return np.concatenate([[sways.mean(0) - middle @ slopes], slopes]).astype(np.float32)


def _shots(clips: Sequence[Clip]) -> _Shots:
  """Frames spread evenly over those that may be learnt from."""
  places = [(i, at) for i, clip in enumerate(clips) for at in clip.training]
  chosen = [places[k] for k in np.unique(np.linspace(0, len(places) - 1, SHOTS).astype(int))]
  colours, poses, landmarks = [], [], []
  for i, clip in enumerate(clips):
    mine = [at for of, at in chosen if of == i]
    record, pictures = _record(clip)
    wanted = set(mine)
    colours += [picture for at, picture in enumerate(pictures) if at in wanted]
    poses.append(record['motion'][mine, :6])
    landmarks.append(clip.landmarks[mine])
  grey = np.stack([_grey(c) for c in colours])
  free = _free(np.concatenate(landmarks), grey.shape[1])
  clip = np.array([of for of, _ in chosen])
  return _Shots(np.stack(colours), grey, np.concatenate(poses), clip, free)


def _free(landmarks: np.ndarray, size: int) -> np.ndarray:
  """[R, R] 1 = below the mouth in most, and outside the face in all of landmarks [N, 478, 2]."""
  points = (landmarks * [1, -1] + 0.5) * size - 0.5
  faces = np.zeros((size, size), np.uint8)
  for outline in points[:, names.SILHOUETTE]:
    cv2.fillConvexPoly(faces, cv2.convexHull(np.round(outline).astype(np.int32)), 1)
  mouth = np.median(points[:, names.MIDDLE_LIPS, 1])
  return ((faces == 0) & (np.arange(size)[:, None] > mouth)).astype(np.float32)


def _record(clip: Clip) -> tuple[dict[str, Any], Iterator[np.ndarray]]:
  """The record of a clip, and its pictures uint8 [R, R, 3] while they are read."""
  record, size = spooled.read(clip.path)
  side = min(size, SIDE)
  pictures = (source.decode(frame) for frame in record['frames'])
  if side < size:
    pictures = (cv2.resize(p, (side, side), interpolation=cv2.INTER_AREA) for p in pictures)
  return record, pictures


def _grey(picture: np.ndarray) -> np.ndarray:
  return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
