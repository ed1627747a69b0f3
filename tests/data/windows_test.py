import numpy as np
import pytest
import toy_records

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema, statistics, windows
from gmtalker_jax.data.latent import Normal

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


def test_people_have_their_index_and_strangers_none():
  assert [int(expression(r, 4).subject) for r in RECORDS] == [0, 1, 2, 0]
  assert expression(dict(RECORDS[0], subject='M999'), 4).subject == -1


def test_who_has_no_label_gets_a_point_of_the_simplex():
  windows_of = [expression(dict(RECORDS[0], emotion=''), 4, seed) for seed in range(5)]
  for window in windows_of:
    assert window.labelled == 0
    assert window.emotion.sum() == pytest.approx(1)
  assert len({tuple(w.emotion) for w in windows_of}) == 5  # another one each time
  assert expression(RECORDS[0], 4).labelled == 1


def test_pictures_are_only_reduced():
  picture = np.zeros((8, 8, 3), np.uint8)
  picture[:4] = 255
  frame = {
    'id': 'a', 'emotion': 'happy', 'level': 3, 'photograph': picture, 'rendering': picture,
    'latent': Normal(np.ones(5), np.ones(5)),
  }  # fmt: skip
  made = windows.portrait(frame, np.random.default_rng(0), input_size=4, output_size=8)
  assert made.rendering.shape == (4, 4, 3)
  assert made.image.shape == (8, 8, 3)
  assert (made.image.max(), made.image.min()) == (1.0, -1.0)
  assert made.latent.tolist() == [1] * 5
  assert made.emotion.argmax() == schema.EMOTIONS.index('happy')
  with pytest.raises(InputError, match=r'got pictures of 8x8 .* expected squares of 16'):
    windows.portrait(frame, np.random.default_rng(0), input_size=16, output_size=8)
