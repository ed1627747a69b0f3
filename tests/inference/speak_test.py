import threading

import jax
import numpy as np
import pytest
import tiny_talker

from gmtalker_jax import speech
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.face.render import render_frames
from gmtalker_jax.inference import speak, timeline
from gmtalker_jax.models.expression import SAMPLING
from gmtalker_jax.types import Coefficients

RNG = np.random.default_rng(0)


@pytest.fixture(scope='module')
def talker():
  return tiny_talker.talker()


def _wave(samples):
  return (0.1 * RNG.standard_normal(samples)).astype(np.float32)


@pytest.mark.parametrize('samples', [1, 640, 641, 16_000])
def test_exactly_ceil_seconds_times_25_frames(talker, samples):
  frames = -(-samples // 640)
  talk = speak.speak(talker, _wave(samples), timeline.parse('happy', 1.0, frames))
  pictures = list(talk.frames)
  assert len(pictures) == frames
  assert pictures[0].shape == (64, 64, 3)
  assert pictures[0].dtype == np.uint8
  assert talk.coefficients.expression.shape == (frames, 50)
  assert talk.coefficients.motion.shape == (frames, 12)


def test_same_seed_same_talk_other_seed_other_talk(talker):
  wave = _wave(8000)
  weights = timeline.parse('sad', 1.0, 13)
  one, two, other = (speak.speak(talker, wave, weights, seed) for seed in (1, 1, 2))
  np.testing.assert_array_equal(one.coefficients.expression, two.coefficients.expression)
  np.testing.assert_array_equal(next(one.frames), next(two.frames))
  assert np.abs(one.coefficients.motion - other.coefficients.motion).max() > 1e-3
  assert np.abs(one.latent - other.latent).max() > 1e-3


def test_temperature_zero_leaves_no_motion_noise(talker):
  features = speech.encode(_wave(8000), talker.speech_encoder)
  one, two = (speak.generate_motion(talker, features, seed, 0.0) for seed in (1, 2))
  np.testing.assert_allclose(one, two, atol=1e-6)


def test_ranges(talker):
  talk = speak.speak(talker, _wave(16_000), timeline.parse('angry', 1.0, 25), temperature=30.0)
  motion = talk.coefficients.motion
  assert talk.coefficients.expression.min() >= 0
  assert talk.coefficients.expression.max() <= 1
  assert motion[:, schema.BLINK].min() >= 0
  assert motion[:, schema.BLINK].max() <= 1
  assert np.abs(motion[:, schema.GAZE]).max() <= 0.6


def test_shape_motion_averages_three_frames_and_scales_about_the_mean():
  motion = np.zeros((5, 12), np.float32)
  motion[2] = 0.3
  mean = np.full(12, 0.1)
  shaped = speak.shape_motion(motion, mean, 1.0)
  np.testing.assert_allclose(shaped[:, 0], [0, 0.1, 0.1, 0.1, 0], atol=1e-7)
  np.testing.assert_allclose(shaped[:, 6], motion[:, 6])  # blinks are quick: not smoothed
  np.testing.assert_allclose(speak.shape_motion(motion, mean, 0.0)[:, :6], 0.1, atol=1e-7)


def test_padding_of_a_window_does_not_change_the_talk(talker, monkeypatch):
  features = speech.encode(_wave(13 * 640), talker.speech_encoder)
  weights = timeline.parse('fear', 1.0, 13)
  padded = speak.generate_expression(talker, features, weights, 0)[0]
  monkeypatch.setattr(speak, 'BUCKET', 1)
  np.testing.assert_allclose(
    padded, speak.generate_expression(talker, features, weights, 0)[0], atol=1e-5
  )


def test_the_painter_gets_the_latent_that_it_knows_however_a_blend_is_drawn(talker):
  features = speech.encode(_wave(13 * 640), talker.speech_encoder)
  blend = timeline.parse('happy+sad', 1.0, 13)
  faces, latents = zip(
    *(speak.generate_expression(talker, features, blend, 0, 1.0, mode) for mode in SAMPLING),
    strict=True,
  )
  for latent in latents[1:]:
    np.testing.assert_array_equal(latent, latents[0])
  assert np.abs(faces[1] - faces[0]).max() > 1e-4


def test_a_long_talk_is_made_in_windows_that_meet_smoothly(talker, monkeypatch):
  features = speech.encode(_wave(60 * 640), talker.speech_encoder)
  weights = timeline.parse('0:happy 2:sad', 1.0, 60)
  whole, latent = speak.generate_expression(talker, features, weights, 0)
  monkeypatch.setattr(speak, 'WINDOW', 25)
  monkeypatch.setattr(speak, 'OVERLAP', 10)
  parts, latent_parts = speak.generate_expression(talker, features, weights, 0)
  assert parts.shape == whole.shape
  # w and epsilon are shared by the windows, so the latent path is the same path.
  np.testing.assert_allclose(latent_parts, latent, atol=1e-5)
  jumps = np.abs(np.diff(parts, axis=0)).max()
  assert jumps < 3 * np.abs(np.diff(whole, axis=0)).max() + 1e-3
  motion = speak.generate_motion(talker, features, 0)
  assert motion.shape == (60, 12)
  assert np.isfinite(motion).all()


def test_blend_in_is_a_line_from_old_to_new():
  target = np.zeros((8, 1), np.float32)
  target[:5] = 1.0
  old, speak_overlap = speak.OVERLAP, 3
  speak.OVERLAP = speak_overlap
  try:
    speak._blend_in(target, np.full((6, 1), 5.0, np.float32), 2)
  finally:
    speak.OVERLAP = old
  np.testing.assert_allclose(target[:, 0], [1, 1, 2, 3, 4, 5, 5, 5])


def test_the_emotion_reaches_face_and_paint(talker):
  wave, key = _wave(6400), 0
  happy, sad = (
    speak.speak(talker, wave, timeline.parse(e, 1.0, 10), key) for e in ('happy', 'sad')
  )
  assert np.abs(happy.coefficients.expression - sad.coefficients.expression).max() > 1e-3
  rendering = np.zeros((2, 64, 64, 3), np.uint8)
  same = [speak.paint_batch(talker, rendering, t.emotion[:2], t.latent[:2]) for t in (happy, sad)]
  assert (same[0] != same[1]).any()


def test_the_style_is_the_talkers(talker):
  np.testing.assert_array_equal(talker.style, talker._replace(subject='W002').style)
  assert (talker.style != talker._replace(seed=1).style).any()


def test_the_subject_is_found_by_name(talker):
  assert talker.subject_index == 0
  assert talker._replace(subject='nobody').subject_index == -1


@pytest.mark.parametrize('wave', [np.zeros(0, np.float32), np.full(700, np.nan, np.float32)])
def test_bad_sound(talker, wave):
  with pytest.raises(InputError):
    speak.speak(talker, wave, timeline.parse('happy', 1.0, -(-len(wave) // 640)))


def test_jit_is_shared_between_talks(talker):
  speak.paint_batch(
    talker, np.zeros((1, 64, 64, 3), np.uint8), np.ones((1, 8)) / 8, np.ones((1, 8))
  )
  info = speak._painter.cache_info()
  assert info.currsize == 1
  assert jax.devices()


def drawn(frames):
  """Coefficients that move, emotion that changes, latents: all differ from frame to frame."""
  expression = RNG.uniform(0, 0.5, (frames, 50)).astype(np.float32)
  motion = RNG.normal(0, 0.2, (frames, 12)).astype(np.float32)
  emotion = RNG.dirichlet(np.ones(8), frames).astype(np.float32)
  latent = RNG.normal(size=(frames, 8)).astype(np.float32)
  return Coefficients(expression, motion), emotion, latent


@pytest.mark.parametrize('batch', [1, 4])
def test_frames_painted_ahead_are_those_painted_one_after_another(talker, monkeypatch, batch):
  monkeypatch.setattr(speak, 'batch_size', lambda: batch)
  coefficients, emotion, latent = drawn(11)
  size = talker.portrait.module.input_size
  rendered = render_frames(talker.head, talker.person, coefficients, size, batch)
  expected = [
    speak.paint_batch(talker, rendered[i : i + 1], emotion[i : i + 1], latent[i : i + 1])[0]
    for i in range(11)
  ]
  painted = list(speak.paint(talker, coefficients, emotion, latent))
  assert len(painted) == 11
  # One level: another batch size sums in another order, and 0.5 may round either way.
  off = np.abs(np.array(painted, int) - np.array(expected, int)).max((1, 2, 3))
  assert off.max() <= (batch > 1)
  apart = np.abs(np.array(expected[1:], int) - np.array(expected[:-1], int)).max((1, 2, 3))
  assert apart.min() > off.max()  # so an exchange of neighbours would be seen


def test_a_painter_that_fails_is_heard_of_and_leaves_no_thread(talker, monkeypatch):
  before, painted, real = set(threading.enumerate()), [], speak._paint

  def fails_later(*args):
    painted.append(1)
    if len(painted) > 3:
      raise MemoryError('no more')
    return real(*args)

  monkeypatch.setattr(speak, '_paint', fails_later)
  with pytest.raises(MemoryError, match='no more'):
    list(speak.paint(talker, *drawn(30)))
  assert set(threading.enumerate()) <= before


def test_preparing_compiles_all_that_a_talk_paints_with(talker):
  speak.prepare(talker)
  talk = speak.speak(talker, _wave(3200), timeline.parse('happy', 1.0, 5))
  compiled = []

  def heard(event, seconds, **_):
    compiled.extend([seconds] if event.endswith('backend_compile_duration') else [])

  jax.monitoring.register_event_duration_secs_listener(heard)
  try:
    assert len(list(talk.frames)) == 5
  finally:
    jax.monitoring.unregister_event_duration_listener(heard)
  assert not compiled
