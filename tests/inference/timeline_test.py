import numpy as np
import pytest

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.inference import timeline

HAPPY, ANGRY = schema.EMOTIONS.index('happy'), schema.EMOTIONS.index('angry')


def test_one_emotion_is_constant_and_intensity_blends_with_neutral():
  weights = timeline.parse('happy@0.5', 0.5, 7)
  assert weights.shape == (7, 8)
  assert weights.dtype == np.float32
  np.testing.assert_allclose(weights[:, HAPPY], 0.25)
  np.testing.assert_allclose(weights[:, schema.NEUTRAL], 0.75)


def test_keys_are_met_at_their_times_and_lines_lie_between():
  weights = timeline.parse('0:neutral 2:happy 4:angry@0.6', 1.0, 150)

  def at(seconds):
    return weights[round(seconds * 25)]

  np.testing.assert_allclose(at(2.0)[HAPPY], 1.0, atol=0.02)
  np.testing.assert_allclose(at(1.0)[[HAPPY, schema.NEUTRAL]], 0.5, atol=0.02)
  np.testing.assert_allclose(at(3.0)[HAPPY], 0.5, atol=0.02)
  np.testing.assert_allclose(weights[-1][[ANGRY, schema.NEUTRAL]], [0.6, 0.4], atol=1e-6)
  np.testing.assert_allclose(weights.sum(1), 1.0, atol=1e-6)
  assert weights.min() >= 0


def test_blend_short_code_and_commas():
  np.testing.assert_allclose(timeline.parse('hap+ANG', 1.0, 1)[0, [ANGRY, HAPPY]], 0.5)
  assert timeline.parse('0:sad, 1:fear', 1.0, 50).shape == (50, 8)


@pytest.mark.parametrize(
  ('track', 'intensity', 'match'),
  [
    ('hapy', 1.0, "did you mean 'happy'"),
    ('happy', 1.5, 'from 0 to 1'),
    ('happy', float('nan'), 'from 0 to 1'),
    ('happy@2', 1.0, 'from 0 to 1'),
    ('', 1.0, 'empty'),
    ('2:happy 1:sad', 1.0, 'increase'),
    ('happy sad', 1.0, 'without a time'),
    ('x:happy', 1.0, 'expected a number'),
    ('-1:happy', 1.0, '>= 0'),
    ('1:2:happy', 1.0, 'expected for example'),
  ],
)
def test_bad_tracks_are_refused_in_one_line(track, intensity, match):
  with pytest.raises(InputError, match=match) as caught:
    timeline.parse(track, intensity, 5)
  assert '\n' not in str(caught.value)
