import numpy as np
import pytest
import toy_records

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema, statistics, windows

RECORDS = [toy_records.record(i) for i in range(4)]
STATISTICS = statistics.fit(RECORDS)


def expression(record, frames, seed=0, **options):
  return windows.expression(
    record,
    np.random.default_rng(seed),
    frames=frames,
    statistics=STATISTICS,
    subjects=toy_records.PEOPLE,
    **options,
  )


def test_rows_of_a_window_belong_together():
  record = dict(RECORDS[1])  # number every row, so that a shift would show
  frames = len(record['expression'])
  record['expression'] = np.arange(frames)[:, None] * np.ones(50)
  record['speech'] = np.arange(2 * frames)[:, None] * np.ones(6)
  starts = set()
  for seed in range(100):
    window = expression(record, 6, seed)
    rows = STATISTICS.expression.unnormalize(window.expression)[:, 0].round(3)
    speech = STATISTICS.speech.unnormalize(window.speech)[:, 0].round(3)
    starts.add(rows[0])
    np.testing.assert_allclose(rows, rows[0] + np.arange(6))
    np.testing.assert_allclose(speech, 2 * rows[0] + np.arange(12), atol=1e-2)
  assert starts == set(range(frames - 6 + 1))


def test_a_short_clip_is_padded_and_masked():
  record = RECORDS[0]
  frames = len(record['motion'])
  window = windows.motion(
    record, np.random.default_rng(0), frames=frames + 5, statistics=STATISTICS
  )
  assert window.mask.tolist() == [1.0] * frames + [0.0] * 5
  assert not window.motion[frames:].any()
  assert not window.speech[2 * frames :].any()
  back = STATISTICS.motion.unnormalize(window.motion[:frames])
  np.testing.assert_allclose(back, record['motion'], atol=1e-5)


def test_untracked_frames_are_masked():
  record = dict(RECORDS[0], valid=np.r_[0, 0, np.ones(12)].astype(np.float32))
  assert expression(record, 14).mask.tolist() == record['valid'].tolist()


def test_levels_are_shares_of_an_emotion():
  happy, neutral = schema.EMOTIONS.index('happy'), schema.NEUTRAL
  for level in (1, 2, 3):
    weights = windows.emotion_weights('happy', level)
    assert weights[happy] == pytest.approx(level / 3)
    assert weights[neutral] == pytest.approx(1 - level / 3, abs=1e-6)
    assert weights.sum() == pytest.approx(1)
  assert windows.emotion_weights('happy', 1, soft_levels=False)[happy] == 1
  assert windows.emotion_weights('happy', 0)[happy] == 1  # level unknown
  assert windows.emotion_weights('neutral', 1)[neutral] == pytest.approx(1)
  assert not windows.emotion_weights('', 0).any()


def test_people_have_their_index_and_strangers_none():
  assert [int(expression(r, 4).subject) for r in RECORDS] == [0, 1, 2, 0]
  assert expression(dict(RECORDS[0], subject='M999'), 4).subject == -1


def test_pictures_are_only_reduced():
  pictures = np.zeros((3, 8, 8, 3), np.uint8)
  pictures[:, :4] = 255
  record = dict(
    RECORDS[0], frames=pictures, renderings=pictures, valid=np.array([1, 0, 1], np.float32)
  )
  options = {'latent': np.ones(5), 'output_size': 8}
  frames = windows.portrait_frames(record, input_size=4, **options)
  assert len(frames) == 2
  example = windows.portrait(frames[0], np.random.default_rng(0))
  assert example.rendering.shape == (4, 4, 3)
  assert example.image.shape == (8, 8, 3)
  assert (example.image.max(), example.image.min()) == (1.0, -1.0)
  assert example.latent.tolist() == [1] * 5
  with pytest.raises(InputError, match=r'got pictures of 8x8 .* expected squares of 16'):
    windows.portrait_frames(record, input_size=16, **options)
