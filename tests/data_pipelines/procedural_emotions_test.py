import numpy as np
import pytest

from data_pipelines.procedural import emotions, motion, visemes
from data_pipelines.procedural.drift import drift
from data_pipelines.procedural.people import Style, people
from gmtalker_jax.data import schema

COLUMN = {name: i for i, name in enumerate(schema.EXPRESSION_NAMES)}
SAID = [visemes.Phoneme(0.4, 0.6, 'ˈɑː'), visemes.Phoneme(0.6, 0.7, 'm'),
        visemes.Phoneme(0.7, 0.9, 'ˈiː')]  # fmt: skip
KEYS = {
  'angry': 'browDownLeft', 'contempt': 'mouthSmileLeft', 'disgusted': 'noseSneerLeft',
  'fear': 'eyeWideLeft', 'happy': 'mouthSmileLeft', 'sad': 'mouthFrownLeft',
  'surprised': 'browOuterUpLeft',
}  # fmt: skip


def face(emotion, level, style, seed):
  rng = np.random.default_rng(seed)
  feeling = emotions.express(emotion, level, style, SAID, 60, rng)
  return emotions.combine(visemes.articulate(SAID, 60), feeling)


@pytest.mark.parametrize('emotion', KEYS)
def test_levels_are_thirds(emotion):
  key = COLUMN[KEYS[emotion]]
  means = [
    np.mean([face(emotion, n, Style(), s)[:, key].mean() for s in range(6)]) for n in (1, 2, 3)
  ]
  rest = np.mean([face('neutral', 1, Style(), s)[:, key].mean() for s in range(6)])
  grade = (np.array(means) - rest) / (means[2] - rest)
  np.testing.assert_allclose(grade, [1 / 3, 2 / 3, 1], atol=0.08)


def test_contempt_has_one_side():
  for side, other in (('Left', 'Right'), ('Right', 'Left')):
    mean = face('contempt', 3, Style(contempt_side=side), 0).mean(0)
    assert mean[COLUMN[f'mouthSmile{side}']] > 4 * mean[COLUMN[f'mouthSmile{other}']]


def test_asymmetry_is_the_persons():
  mean = face('happy', 3, Style(asymmetry=0.1), 0).mean(0)
  assert mean[COLUMN['mouthSmileLeft']] > 1.1 * mean[COLUMN['mouthSmileRight']]


def test_onset():
  smile = np.mean([face('happy', 3, Style(), s)[:, COLUMN['mouthSmileLeft']] for s in range(8)], 0)
  assert smile[0] < 0.9 * smile[25]


def test_emotions_are_told_apart_by_the_nearest_centroid():
  styles = [p.style for p in people(4)]
  clips, labels = [], []
  for k, style in enumerate(styles):
    for e, emotion in enumerate(schema.EMOTIONS):
      for level in (1, 2, 3) if emotion != 'neutral' else (1,):
        for s in range(4):
          clips.append(face(emotion, level, style, (k, s)).mean(0))
          labels.append((k, e, level, s))
  clips, labels = np.array(clips), np.array(labels)
  train = labels[:, 3] < 2
  groups = np.unique(labels[train, :3], axis=0)
  centroids = np.stack([
    clips[train & (labels[:, :3] == g).all(1)].mean(0) for g in groups
  ])  # fmt: skip
  distance = np.linalg.norm(clips[~train][:, None] - centroids[None], axis=-1)
  same_person = groups[None, :, 0] == labels[~train][:, None, 0]
  guess = groups[np.where(same_person, distance, np.inf).argmin(1), 1]
  assert (guess == labels[~train, 1]).mean() >= 0.95


def test_signs_of_the_emotions():
  """What FACS and tracked people have in common, spoken: units that are there, and that are not."""

  def mean(emotion, name):
    faces = [face(emotion, 3, p.style, k)[:, COLUMN[name]] for k, p in enumerate(people(4))]
    return np.mean(faces)

  for unit in ('mouthSmileLeft', 'cheekSquintLeft', 'mouthUpperUpLeft'):  # 12, 6, 25: teeth show
    assert mean('happy', unit) > 0.3 + mean('neutral', unit)
  for emotion in ('angry', 'disgusted', 'happy', 'sad'):
    assert mean(emotion, 'eyeSquintLeft') > 0.3
  for emotion in ('disgusted', 'happy', 'sad'):
    assert mean(emotion, 'eyeWideLeft') < 0.01
  for emotion in ('angry', 'fear', 'surprised'):
    assert mean(emotion, 'eyeWideLeft') > 0.35  # 5: the stare
  assert mean('fear', 'browDownLeft') > 0.2 > mean('surprised', 'browDownLeft')  # 4 beside 1 + 2
  assert mean('sad', 'mouthFrownLeft') > 0.5


def test_who_smiles_hardly_rounds_the_lips():
  said = [visemes.Phoneme(0.4, 0.9, 'ˈuː')]
  rounded = [COLUMN['mouthPucker'], COLUMN['mouthFunnel']]

  def most(emotion):
    feeling = emotions.express(emotion, 3, Style(), said, 60, np.random.default_rng(0))
    return emotions.combine(visemes.articulate(said, 60), feeling)[:, rounded].sum(1).max()

  assert 0.2 * most('neutral') < most('happy') < 0.6 * most('neutral')


def test_drift_is_standard():
  noise = drift(np.random.default_rng(0), 50_000, 2, 0.4)
  np.testing.assert_allclose(noise.var(0), 1, atol=0.1)
  np.testing.assert_allclose(noise.mean(0), 0, atol=0.1)


def test_blink_statistics():
  style, blinks, seconds = Style(), 0, 0
  rng = np.random.default_rng(0)
  intervals = np.diff(motion.blink_times([], 6000.0, style.blink_rate, rng))
  assert 15 <= 60 / intervals.mean() <= 20
  assert intervals.min() > 0.4
  assert np.mean(intervals) > np.median(intervals)  # log-normal: a long tail
  for seed in range(60):
    moved = motion.move('neutral', 1, style, SAID, 100, np.random.default_rng(seed))
    shut = moved[:, 6] > 0.7
    blinks += (np.diff(shut.astype(int)) == 1).sum() + shut[0]
    seconds += 4
  assert 13 <= 60 * blinks / seconds <= 22


def test_blink_closes_faster_than_it_opens():
  closing, opening = [], []
  for seed in range(30):
    lid = motion.move('neutral', 1, Style(), SAID, 100, np.random.default_rng(seed))[:, 6]
    change = np.diff(lid)
    closing.append(change.max())
    opening.append(-change.min())
  assert np.mean(closing) > 1.2 * np.mean(opening)


def test_eyes_hold_the_camera_against_the_head():
  heads, eyes = [], []
  for seed in range(20):
    moved = motion.move('neutral', 1, Style(), SAID, 100, np.random.default_rng(seed))
    heads.append(moved[:, 1])
    eyes.append(moved[:, 9])
    np.testing.assert_allclose(np.ptp(moved[:, 11] - moved[:, 9]), 0, atol=1e-6)  # conjugate
  world = np.concatenate(heads) + np.concatenate(eyes)
  assert np.median(np.abs(world - np.median(world))) < 0.03  # at the camera most of the time
  assert np.quantile(np.abs(world), 0.98) > 0.1
  assert np.corrcoef(np.concatenate(heads), np.concatenate(eyes))[0, 1] < -0.3


def test_range_and_posture():
  def rotation(emotion, scale):
    style = Style(motion_scale=scale)
    clips = [motion.move(emotion, 3, style, SAID, 100, np.random.default_rng(s)) for s in range(20)]
    return np.concatenate(clips)[:, schema.ROTATION]

  small, wide = rotation('neutral', 1.0).std(0), rotation('neutral', 2.5).std(0)
  np.testing.assert_allclose(wide / small, 2.5, rtol=1e-3)
  assert (small > 0.02).all()
  assert (small < 0.1).all()
  pitch = {e: rotation(e, 1.0)[:, 0].mean() for e in ('sad', 'neutral', 'contempt')}
  assert pitch['sad'] > pitch['neutral'] + 0.05 > pitch['contempt'] + 0.1
