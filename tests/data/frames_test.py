"""Frames come from a stream: one picture is decoded for one item."""

import numpy as np
import pytest
import toy_records

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import frames, source
from gmtalker_jax.data.batches import Cached
from gmtalker_jax.data.latent import Normal

NOTHING = Normal(np.zeros((1, 2)), np.zeros((1, 2)))


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
  out = tmp_path_factory.mktemp('records')
  toy_records.write(out, train=6, test=2, size=32)
  return source.open_records(out, 'train', with_frames=True)


def test_an_item_is_one_frame_with_what_its_clip_knows(clips):
  numbers = [i for i in range(len(clips)) if clips[i]['subject'] == toy_records.PEOPLE[0]]
  tracked = {numbers[0]: np.array([1, 4]), numbers[1]: np.array([0, 2, 3])}
  latents = Normal(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.1, 0.2], [0.3, 0.4]]))
  items = frames.Frames(clips, tracked, latents)
  assert len(items) == 5
  expected = [(0, 1), (0, 4), (1, 0), (1, 2), (1, 3)]
  for item, (row, frame) in zip((items[i] for i in range(5)), expected, strict=True):
    record = clips[numbers[row]]
    assert (item['id'], item['emotion']) == (record['id'], record['emotion'])
    np.testing.assert_array_equal(item['latent'].mean, latents.mean[row])
    np.testing.assert_array_equal(item['latent'].deviation, latents.deviation[row])
    np.testing.assert_array_equal(item['photograph'], source.decode(record['frames'][frame]))
    np.testing.assert_array_equal(item['rendering'], source.decode(record['renderings'][frame]))


def test_only_what_is_asked_for_is_decoded(clips, monkeypatch):
  decoded = []
  original = source.decode
  monkeypatch.setattr(source, 'decode', lambda picture: decoded.append(1) or original(picture))
  number = next(i for i in range(len(clips)) if len(clips[i]['frames']))
  items = frames.Frames(Cached(clips, 10), {number: np.arange(10)}, NOTHING)
  items[7]
  assert len(decoded) == 2  # the photograph and its rendering


def test_a_clip_without_pictures_says_so(clips):
  number = next(i for i in range(len(clips)) if not len(clips[i]['frames']))
  items = frames.Frames(clips, {number: np.arange(3)}, NOTHING)
  with pytest.raises(InputError, match='without frames, expected photographs'):
    items[0]


def test_frames_that_were_not_tracked_are_none():
  assert frames.tracked({'valid': [0, 1, 1, 0, 1]}).tolist() == [1, 2, 4]
