"""Fits the head to tracked landmarks: identity once per clip, pose and expression per frame.

Gauss-Newton on the reprojection of 470 landmarks under the perspective camera, all frames of a
clip at once (method 1.3, "Tracking"). Per frame the pose is eliminated exactly, and the bounded
weights 0..1 follow from coordinate descent on what remains, drawn towards the network's scores.

A person's lips or brows that the identity cannot reach would be taken for an expression held all
through the clip. So the mean of the expression is left to the scores, what remains on average is a
constant offset of each landmark, and only changes are read from the landmarks.
Points of a picture are in crop units, see rigid.py.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gmtalker_jax.data import schema
from gmtalker_jax.face import landmarks as names
from gmtalker_jax.face.landmark_model import LandmarkModel

from . import gaze as gazes
from .least_squares import bounded_solve, eliminate
from .rigid import DISTANCE, FOCAL, Pose, euler_angles, project, rotation_matrix, rotation_of

_WEIGHTS = {'silhouette': 0.3, 'lips': 2.0, 'lids': 2.0, 'other': 1.0}

# A coefficient that is off by 1 costs as much as all landmarks off by so many outer-eye distances.
_IDENTITY_PRIOR = 0.0025
_EXPRESSION_PRIOR = 0.004
_MEAN_PRIOR = 0.03  # of the expression while identity and offset are found
_SCORE_GAIN = 0.8  # the network's scores run higher than the head's weights
_CLOSED = 0.7  # blink score of closed eyes
_BLINK_TRUST = 50.0  # the lids of the mesh hardly close; the scores know better
_KEY_FRAMES = 24  # frames of a clip that the identity is fitted to
_SHARED_FRAMES = 48  # of several clips together
_CHUNK = 64  # frames solved at once: bounds the memory

_BLINK = list(schema.BLINKS)


class Fit(NamedTuple):
  """A fitted clip. identity [I]; blendshapes [T, 52]; motion [T, 12]; landmarks [T, 478, 2].

  `landmarks` are the fitted head's, in crop units; `error` [T] is their mean distance to the
  tracked ones in outer-eye distances (the longest of the clip, so that a turned head is not
  divided by a foreshortened one).
  """

  identity: np.ndarray
  blendshapes: np.ndarray
  motion: np.ndarray
  landmarks: np.ndarray
  error: np.ndarray


class Shape(NamedTuple):
  """The head of one person."""

  identity: np.ndarray  # [I]
  offset: np.ndarray  # [478, 3] what each landmark is off by all the time, in head axes


def fit(
  model: LandmarkModel,
  points: np.ndarray,
  scores: np.ndarray,
  shape: Shape | None = None,
  iterations: int = 4,
) -> Fit:
  """Fits a clip.

  Args:
    model: the head at its landmarks.
    points: [T, 478, 2] tracked landmarks in crop units, every frame valid.
    scores: [T, 52] blendshape scores 0..1.
    shape: of the person, where it is known from more clips than this.
    iterations: Gauss-Newton steps per frame after the identity is known.

  Returns:
    the fit; angles in rad, translations in head widths.
  """
  points, scores = points.astype(np.float32), calibrate_blinks(scores.astype(np.float32))
  identity, offset = shape or _fit_shape(model, *key_frames(points, scores))
  neutral = model.neutral(identity)
  moved = neutral + offset
  parts = []
  for start in range(0, len(points), _CHUNK):
    some = slice(start, start + _CHUNK)
    pose = initial_pose(moved, points[some], landmark_weights(model))
    weights = _SCORE_GAIN * scores[some]
    for _ in range(iterations):
      pose, weights = _step(model, moved, pose, weights, points[some], scores[some])
    parts.append((pose, weights))
  pose = Pose(*(np.concatenate(a) for a in zip(*(p for p, _ in parts), strict=True)))
  weights = np.concatenate([w for _, w in parts])
  return _finish(model, neutral, identity, pose, weights, points)


def fit_shape(model: LandmarkModel, clips: Sequence[tuple[np.ndarray, np.ndarray]]) -> Shape:
  """The head of the person in several clips, of equal weight; each is (points, scores) of `fit`."""
  calibrated = [(p.astype(np.float32), calibrate_blinks(s.astype(np.float32))) for p, s in clips]
  each = -(-_SHARED_FRAMES // len(clips))
  points, scores = zip(*(key_frames(p, s, each) for p, s in calibrated), strict=True)
  return _fit_shape(model, np.concatenate(points), np.concatenate(scores))


def key_frames(
  points: np.ndarray, scores: np.ndarray, count: int = _KEY_FRAMES
) -> tuple[np.ndarray, np.ndarray]:
  """At most `count` frames of a clip, evenly spread."""
  key = np.unique(np.linspace(0, len(points) - 1, count).astype(int))
  return points[key], scores[key]


def calibrate_blinks(scores: np.ndarray) -> np.ndarray:
  """Scores [T, 52] whose blinks start at 0 with the eyes as open as they mostly are in the clip."""
  scores = scores.copy()
  blinks = scores[:, _BLINK]
  rest = np.minimum(np.percentile(blinks, 20, axis=0), 0.4)
  scores[:, _BLINK] = np.clip((blinks - rest) / (_CLOSED - rest), 0, 1) / _SCORE_GAIN
  return scores


def initial_pose(shape: np.ndarray, points: np.ndarray, weights: np.ndarray) -> Pose:
  """Pose of a rigid shape [N, 3] from points [T, N, 2] in closed form, for a distant camera."""
  ones = np.ones((len(shape), 1), np.float32)
  solve = np.linalg.pinv(np.concatenate([shape, ones], 1) * weights[:, None])
  affine = np.einsum('kn,tnc->tck', solve, points * weights[:, None])  # [T, 2, 4]
  u, scales, vt = np.linalg.svd(affine[..., :3], full_matrices=False)
  rows = u @ vt
  rotation = np.concatenate([rows, np.cross(rows[:, :1], rows[:, 1:])], 1)
  depth = FOCAL / scales.mean(1)  # camera to the middle of the landmarks
  middle = rotation @ np.average(shape, axis=0, weights=weights)
  flat = affine[..., 3] * depth[:, None] / FOCAL
  return Pose(rotation, np.concatenate([flat, (DISTANCE - depth - middle[:, 2])[:, None]], 1))


def _fit_shape(model, points, scores, iterations: int = 6) -> Shape:
  """The shape from some frames; poses are refitted on the way."""
  identity = np.zeros(len(model.identity), np.float32)
  weights = _SCORE_GAIN * scores
  pose = initial_pose(model.mean, points, landmark_weights(model))
  for _ in range(iterations):
    neutral = model.neutral(identity)
    pose, weights = _step(model, neutral, pose, weights, points, scores, _MEAN_PRIOR)
    identity = _identity_step(model, identity, pose, weights, points)
  neutral = model.neutral(identity)
  return Shape(identity, _mean_offset(model, neutral, pose, weights, points))


def _mean_offset(model, neutral, pose, weights, points) -> np.ndarray:
  """What the landmarks [N, 3] are off by on average, in the head's own axes."""
  shape = neutral + np.tensordot(weights, model.expression, 1)
  placed = np.einsum('tij,tnj->tni', pose.rotation, shape) + pose.translation[:, None]
  off = (points - project(placed)) * (DISTANCE - placed[..., 2:]) / FOCAL
  off = np.einsum('tji,tnj->tni', pose.rotation[:, :2], off).mean(0)
  return np.where(landmark_weights(model)[:, None] > 0.5, off, 0)


def _identity_step(model, identity, pose, weights, points) -> np.ndarray:
  """One Gauss-Newton step of the shared identity; the pose of each frame is eliminated."""
  neutral = model.neutral(identity)
  placed, residual, scale = _residuals(model, neutral, pose, weights, points)
  free = _pose_jacobian(placed, pose, scale)
  shared = _shape_jacobian(model.identity, placed, pose, scale)
  hessian, gradient, _ = eliminate(free, shared, residual)
  hessian, gradient = hessian.mean(0), gradient.mean(0)
  ridge = _IDENTITY_PRIOR**2 * len(neutral)
  step = np.linalg.solve(
    hessian + ridge * np.eye(len(identity), dtype=np.float32), gradient - ridge * identity
  )
  return np.clip(identity + step, -3, 3)


def _step(
  model, neutral, pose, weights, points, scores, prior=_EXPRESSION_PRIOR
) -> tuple[Pose, np.ndarray]:
  """One Gauss-Newton step of pose and bounded expression weights for every frame."""
  placed, residual, scale = _residuals(model, neutral, pose, weights, points)
  free = _pose_jacobian(placed, pose, scale)
  shape = _shape_jacobian(model.expression, placed, pose, scale)
  hessian, gradient, back = eliminate(free, shape, residual)
  ridge = np.full(hessian.shape[-1], prior**2 * len(neutral), np.float32)
  ridge[_BLINK] *= _BLINK_TRUST
  hessian = hessian + np.diag(ridge)
  # The quadratic in the weights themselves: H w = H w0 + g, w in 0..1.
  target = np.einsum('tij,tj->ti', hessian, weights) + gradient
  target += ridge * (_SCORE_GAIN * scores - weights)
  solution = bounded_solve(hessian, target, weights)
  move = back(solution - weights)
  rotation = rotation_of(move[:, :3]) @ pose.rotation
  return Pose(rotation, pose.translation + move[:, 3:]), solution


def _residuals(model, neutral, pose, weights, points):
  """Points of the posed head [T, N, 3], weighted residuals [T, 2N] and weights [N].

  Residuals are in outer-eye distances of the posed head, as it would look from the front.
  """
  shape = neutral + np.tensordot(weights, model.expression, 1)
  placed = np.einsum('tij,tnj->tni', pose.rotation, shape) + pose.translation[:, None]
  eyes = names.outer_eye_distance(neutral)
  scale = landmark_weights(model) * np.float32(DISTANCE / (FOCAL * eyes))
  residual = (points - project(placed)) * scale[:, None]
  return placed, residual.reshape(len(points), -1), scale


def _pose_jacobian(placed, pose, scale) -> np.ndarray:
  """[T, 2N, 6]: derivative of the weighted projection by a small turn and a small shift."""
  arms = placed - pose.translation[:, None]
  zero = np.zeros(arms.shape[:2], arms.dtype)
  x, y, z = arms[..., 0], arms[..., 1], arms[..., 2]
  turn = np.stack([zero, z, -y, -z, zero, x, y, -x, zero], -1).reshape(*arms.shape[:2], 3, 3)
  shift = np.broadcast_to(np.eye(3, dtype=arms.dtype), turn.shape)
  space = np.concatenate([turn, shift], -1)  # [T, N, 3, 6]
  return (_camera_jacobian(placed, scale) @ space).reshape(len(placed), -1, 6)


def _shape_jacobian(basis, placed, pose, scale) -> np.ndarray:
  """[T, 2N, C]: derivative of the weighted projection by the coefficients of basis [C, N, 3]."""
  camera = _camera_jacobian(placed, scale) @ pose.rotation[:, None]  # [T, N, 2, 3]
  jacobian = camera @ np.ascontiguousarray(basis.transpose(1, 2, 0))[None]
  return jacobian.reshape(len(placed), -1, len(basis))


def _camera_jacobian(placed, scale) -> np.ndarray:
  """[T, N, 2, 3]: derivative of the weighted projection by the point in space."""
  depth = DISTANCE - placed[..., 2]
  gain = FOCAL * scale / depth
  zero = np.zeros_like(gain)
  x, y = gain * placed[..., 0] / depth, gain * placed[..., 1] / depth
  return np.stack([gain, zero, x, zero, gain, y], -1).reshape(*gain.shape, 2, 3)


def landmarks(model: LandmarkModel, identity, blendshapes, motion) -> np.ndarray:
  """What the camera sees of a head [T, 478, 2], crop units: identity [I], [T, 52], [T, 12]."""
  neutral = model.neutral(identity)
  shape = neutral + np.tensordot(blendshapes, model.expression, 1)
  eyes = model.eye_centre + gazes.eye_shift(model, neutral)
  gaze = motion[:, schema.GAZE]
  # The irises turn with the gaze; the head of `face` does the same with its eyeballs.
  for side, indices in enumerate(map(list, names.IRISES)):
    turn = gazes.matrix(gaze[:, 2 * side : 2 * side + 2])
    arms = shape[:, indices] - eyes[side]
    shape[:, indices] = np.einsum('tij,tnj->tni', turn, arms) + eyes[side]
  rotation = rotation_matrix(motion[:, schema.ROTATION])
  placed = np.einsum('tij,tnj->tni', rotation, shape) + motion[:, None, schema.TRANSLATION]
  return project(placed)


def _finish(model, neutral, identity, pose, weights, points) -> Fit:
  shape = neutral + np.tensordot(weights, model.expression, 1)
  gaze = gazes.fit(model, neutral, shape, pose, points)
  angles = euler_angles(pose.rotation)
  motion = np.concatenate([angles, pose.translation, weights[:, _BLINK], gaze], 1)
  seen = landmarks(model, identity, weights, motion)
  error = np.linalg.norm(seen - points, axis=-1).mean(1) / names.outer_eye_distance(points).max()
  return Fit(identity, weights, motion.astype(np.float32), seen, error)


def landmark_weights(model: LandmarkModel) -> np.ndarray:
  """Weight [478] of each landmark in the fit; 0 for irises, which belong to the gaze.

  A point of the lids that was found on the eyeball would turn with it: it counts as little.
  """
  weights = np.full(names.COUNT, _WEIGHTS['other'], np.float32)
  weights[list(names.SILHOUETTE)] = _WEIGHTS['silhouette']
  weights[[*names.OUTER_LIPS, *names.INNER_LIPS]] = _WEIGHTS['lips']
  weights[[*names.EYELIDS[0], *names.EYELIDS[1]]] = _WEIGHTS['lids']
  weights[names.ON_SKIN :] = 0
  return weights * model.on_skin
