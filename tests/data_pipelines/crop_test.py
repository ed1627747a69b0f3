"""The square that is cut from a video."""

import numpy as np
import pytest

from data_pipelines.track import Crop


@pytest.mark.parametrize(('centre', 'side', 'expected'), [
  ((960.0, 540.0), 400.0, ((960.0, 540.0), 400.0)),  # inside: as it is
  ((100.0, 540.0), 400.0, ((200.0, 540.0), 400.0)),  # moved
  ((1900.0, 1000.0), 400.0, ((1720.0, 880.0), 400.0)),
  ((960.0, 540.0), 1500.0, ((960.0, 540.0), 1080.0)),  # as large as the frame is high
  ((100.0, 0.0), 1500.0, ((540.0, 540.0), 1080.0)),
])  # fmt: skip
def test_a_pictured_crop_lies_within_the_frame(centre, side, expected):
  found = Crop(np.array(centre), side).within((1920, 1080))
  np.testing.assert_allclose(found.centre, expected[0])
  assert found.side == expected[1]


def test_nothing_of_a_crop_within_the_frame_is_invented():
  frame = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
  crop = Crop(np.array([0.0, 0.0]), 500.0).within((160, 90))
  np.testing.assert_array_equal(crop.cut(frame, 90), frame[:, :90])
