"""Metrics against implementations that are not ours, and against what can be worked out by hand."""

import cv2
import numpy as np
import pytest
from scipy import linalg, signal, stats
from skimage import transform
from sklearn import metrics as sklearn_metrics

from gmtalker_jax.data import schema
from gmtalker_jax.evaluation.metrics import beats, blinks, frechet, latent, pixels
from gmtalker_jax.face import camera, landmarks, morphable
from gmtalker_jax.face.landmark_model import LandmarkModel
from gmtalker_jax.io.heads import load_head

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(('n', 'm', 'width'), [(60, 80, 5), (12, 9, 30)])
def test_frechet_is_that_of_a_matrix_root(n, m, width):
  a = RNG.normal(size=(n, width)) @ RNG.normal(size=(width, width))
  b = RNG.normal(1, 2, size=(m, width))
  first, second = np.cov(a.T), np.cov(b.T)
  root = linalg.sqrtm((first + 1e-12 * np.eye(width)) @ (second + 1e-12 * np.eye(width)))
  means = np.square(a.mean(0) - b.mean(0)).sum()
  want = means + np.trace(first + second) - 2 * np.trace(root).real
  np.testing.assert_allclose(frechet.frechet(a, b), want, rtol=1e-4)
  assert frechet.frechet(a, a) < 1e-9 * np.trace(first)


def test_the_68_points_are_where_their_names_say():
  assert len(set(pixels.POINTS)) == 68
  assert set(pixels.POINTS[48:60]) <= set(landmarks.OUTER_LIPS)
  assert set(pixels.POINTS[60:]) <= set(landmarks.INNER_LIPS)
  assert set(pixels.POINTS[36:42]) <= set(landmarks.EYELIDS[1])
  assert set(pixels.POINTS[42:48]) <= set(landmarks.EYELIDS[0])
  mean = LandmarkModel.of(load_head()).mean[pixels.POINTS]
  # iBUG's mirror pairs: the face is symmetric, so they are each other's mirror.
  pairs = [(i, 16 - i) for i in range(8)] + [(17 + i, 26 - i) for i in range(5)]
  pairs += [(31, 35), (32, 34), (36, 45), (37, 44), (39, 42), (48, 54), (50, 52), (60, 64)]
  for left, right in pairs:
    assert mean[left, 0] < 0 < mean[right, 0]  # from the viewer's left
    # As the viewer sees them: depth is only as even as the mesh was put onto the head.
    np.testing.assert_allclose(mean[left, :2] * [-1, 1], mean[right, :2], atol=0.02)


def test_alignment_is_the_similarity_of_skimage():
  template = 256 * RNG.uniform(size=(21, 2))
  points = 100 * RNG.uniform(size=(3, 68, 2))
  ours = pixels.aligned(points, template)
  for before, after in zip(points, ours, strict=True):
    fitted = transform.SimilarityTransform.from_estimate(before[27:48], template)
    np.testing.assert_allclose(after, fitted(before), rtol=1e-6, atol=1e-6)


def test_projection_is_that_of_the_camera_and_pose_that_of_the_head():
  points = RNG.normal(0, 0.3, size=(5, 3)).astype(np.float32)
  want = camera.project(camera.DEFAULT, points, 256)[..., :2]
  np.testing.assert_allclose(pixels.project(points, 256), want, rtol=1e-5)
  angles = RNG.normal(size=3).astype(np.float32)
  ours = pixels.Rotation.from_euler('xyz', angles).as_matrix()
  np.testing.assert_allclose(ours, morphable.rotation_matrix(angles), atol=1e-5)


def test_lmd_in_pixels_and_of_velocities():
  truth = RNG.normal(size=(6, 4, 2))
  assert pixels.distance(truth + np.array([5.0, -3.0]), truth) < 1e-12
  jumping = truth.copy()
  jumping[3:, :, 0] += 8.0  # one step of eight pixels among five
  np.testing.assert_allclose(pixels.velocity_distance(jumping, truth), 8 / 5)
  assert pixels.velocity_distance(truth + 7.0, truth) < 1e-12
  mine = np.mean([np.linalg.norm(a - b, axis=1).mean() for a, b in zip(
    truth - truth.mean(1, keepdims=True), np.zeros_like(truth), strict=True)])  # fmt: skip
  np.testing.assert_allclose(pixels.distance(truth, np.zeros_like(truth)), mine)


def test_blinks_are_counted_and_timed():
  lids = np.zeros(200)
  for start, frames in ((20, 5), (60, 3), (120, 8)):
    lids[start : start + frames] = 0.9
  lids[90:95] = 0.4  # half-hearted
  lids[150:190] = 1.0  # asleep
  assert blinks.blinks(lids) == [5, 3, 8]
  peaks, about = signal.find_peaks(lids, height=0.5, width=(None, 25), rel_height=0.9)
  assert len(peaks) == 3  # scipy sees as many
  np.testing.assert_allclose(about['widths'], [5, 3, 8], atol=1)


def test_beats_are_where_they_were_put():
  frames = np.arange(250)
  heard = np.array([20, 60, 100, 140, 180, 220])
  level = np.cumsum(np.isin(frames, heard).astype(float))
  found = beats.sound_beats(np.repeat(level[:, None], 2, 0).reshape(500, 1))
  assert all(np.abs(heard - f).min() <= 1 for f in found)
  assert len(found) == len(heard)
  # A head that swings with a period of 80 frames rests every 40, at its turning points.
  swing = np.sin(2 * np.pi * (frames[:, None] - 0) / 80) * np.ones(6)
  rests = beats.motion_beats(swing)
  assert beats.alignment(rests, heard) > 0.95
  assert beats.alignment(rests + 20, heard) < 0.01
  assert beats.alignment(rests[:0], heard) == 0


def test_steps_of_a_path_are_even_or_not():
  assert latent.step_variance(np.full(8, 0.3)) == 0
  steps = RNG.gamma(2.0, size=50)
  np.testing.assert_allclose(latent.step_variance(steps), stats.variation(steps) ** 2)


def test_confusion_and_accuracy_are_those_of_sklearn():
  from gmtalker_jax.evaluation.classifier import EmotionClassifier

  clips = [RNG.uniform(size=(20, 50)) for _ in range(24)]
  names = [schema.EMOTIONS[i % 8] for i in range(24)]
  judge = EmotionClassifier(clips, names)
  others = [RNG.uniform(size=(20, 50)) for _ in range(24)]
  want = sklearn_metrics.accuracy_score(names, judge.predict(others))
  assert judge.accuracy(others, names) == want


def test_frechet_of_pictures_grows_as_they_are_spoiled():
  small = lambda p: np.stack([cv2.resize(x, (4, 4)).ravel() / 255 for x in p])  # noqa: E731
  truth = RNG.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
  blurred = np.stack([cv2.GaussianBlur(p, (0, 0), 4) for p in truth])
  noise = RNG.integers(0, 60, truth.shape, dtype=np.uint8)
  values = [frechet.frechet(small(p), small(truth)) for p in (truth, blurred, noise)]
  assert values[0] < 1e-9 < values[1] < values[2]
