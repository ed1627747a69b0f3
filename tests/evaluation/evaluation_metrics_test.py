import numpy as np
from skimage import metrics as reference

from gmtalker_jax.evaluation import baselines, embedding
from gmtalker_jax.evaluation.classifier import EmotionClassifier
from gmtalker_jax.evaluation.metrics import latent, motion, mouth, portrait
from gmtalker_jax.face.landmark_model import LandmarkModel
from gmtalker_jax.io.heads import load_head

RNG = np.random.default_rng(0)


def test_landmark_distance_forgets_a_shift_and_measures_the_rest():
  truth = RNG.normal(size=(4, 10, 3))
  assert mouth.landmark_distance(truth + 3.0, truth) < 1e-12
  moved = truth.copy()
  moved[:, 0, 0] += 1.0  # after the mean is subtracted: 0.9 for one point, 0.1 for nine
  np.testing.assert_allclose(mouth.landmark_distance(moved, truth), (0.9 + 9 * 0.1) / 10)


def test_pairwise_distance():
  still, one = np.zeros((5, 4)), np.ones((7, 4))
  np.testing.assert_allclose(motion.pairwise_distance([still, one, one]), 2 / 3)
  assert motion.pairwise_distance([one, one]) == 0


def test_closures_allow_one_frame():
  true = np.array([1.0, 0, 1, 1, 0, 1])
  late = np.array([1.0, 1, 0, 1, 1, 1])
  assert mouth.closures(late, true, 1.0) == (1, 2)
  assert mouth.closures(late, true + 1, 1.0) == (0, 0)  # nothing is ever closed


def test_picture_metrics_against_skimage():
  a, b = (RNG.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8) for _ in range(2))
  want = np.mean([reference.peak_signal_noise_ratio(x, y) for x, y in zip(a, b, strict=True)])
  np.testing.assert_allclose(portrait.psnr(b, a).mean(), want, rtol=1e-4)
  want = np.mean([
    reference.structural_similarity(
      x, y, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    for x, y in zip(a, b, strict=True)
  ])  # fmt: skip
  np.testing.assert_allclose(portrait.ssim(b, a).mean(), want, atol=5e-3)


def test_paths():
  line = np.linspace(0, 1, 9)[:, None] * np.array([[3.0, 4.0]])
  np.testing.assert_allclose(latent.path_length(line), 25.0)  # |dG/dt|^2
  np.testing.assert_allclose(latent.path_variance(line), 0.0, atol=1e-12)
  jump = np.zeros((9, 2))
  jump[5:] = (3.0, 4.0)
  assert latent.path_variance(jump) > 1
  np.testing.assert_allclose(latent.path_length(jump), 25.0 * 8)


def test_the_mouth_is_where_jaw_open_moves():
  model = LandmarkModel.of(load_head())
  person = np.zeros(len(model.identity))
  opened = model.place(np.eye(50)[[mouth.JAW_OPEN]], person)
  closed = model.place(np.zeros((1, 50)), person)
  moved = np.linalg.norm(opened - closed, axis=-1)[0]
  assert moved[mouth.MOUTH].mean() > 2 * moved.mean()
  assert mouth.lip_gap(opened) > mouth.lip_gap(closed) + 0.02


def test_the_judge_knows_what_it_saw_and_not_noise():
  clips, labels = [], []
  for _ in range(20):
    for k, name in enumerate(('happy', 'sad')):
      clip = 0.1 * RNG.uniform(size=(30, 50))
      clip[:, k] += 0.5
      clips.append(clip)
      labels.append(name)
  judge = EmotionClassifier(clips[:20], labels[:20])
  assert judge.accuracy(clips[20:], labels[20:]) == 1.0
  assert judge.accuracy(clips[20:], labels[19:-1]) == 0.0


def test_ridge_finds_a_linear_law_and_loses_it_with_other_sound():
  matrix = RNG.normal(size=(6, 50))
  records = []
  for _ in range(6):
    speech = RNG.normal(size=(80, 6))
    smooth = speech.reshape(40, 2, 6).mean(1)
    records.append({'speech': speech, 'expression': 0.5 + 0.02 * smooth @ matrix})
  ridge = baselines.Ridge(records[:5], strength=1e-3)
  error = np.abs(ridge.predict(records[5]['speech']) - records[5]['expression']).mean()
  wrong = np.abs(ridge.predict(records[4]['speech']) - records[5]['expression']).mean()
  mean = np.abs(baselines.mean_face(records[:5]) - records[5]['expression']).mean()
  assert error < 0.2 * mean
  assert wrong > mean


def test_knn_purity():
  latents = np.concatenate([RNG.normal(0, 0.1, (10, 3)), RNG.normal(5, 0.1, (10, 3))])
  assert embedding.knn_purity(latents, ['a'] * 10 + ['b'] * 10) == 1.0
  assert embedding.knn_purity(latents, ['a', 'b'] * 10) < 0.7
