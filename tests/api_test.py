import subprocess
import sys

import numpy as np
import pytest
import tiny_talker

import gmtalker_jax as gm
from gmtalker_jax import api
from gmtalker_jax.data import schema
from gmtalker_jax.inference import bundling, speak, timeline
from gmtalker_jax.inference import talker as talkers
from gmtalker_jax.io import audio, video


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  root = tmp_path_factory.mktemp('api')
  bundling.save(tiny_talker.talker(), root / 'talker', {}, 'float32')
  audio.write(root / 'voice.wav', 0.1 * np.sin(np.arange(9_000) / 10))
  return root


@pytest.fixture(scope='module')
def talker(folder):
  return gm.load(folder / 'talker')


def test_the_import_is_light():
  code = (
    'import sys, gmtalker_jax as gm; print(sorted(m for m in ("jax", "numpy", "av") if m in '
    'sys.modules)); print(gm.load.__module__, "jax" in sys.modules, dir(gm))'
  )
  done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
  assert done.stdout.splitlines() == [
    '[]',
    "gmtalker_jax.api True ['InputError', 'Talk', 'Talker', 'load']",
  ]
  with pytest.raises(AttributeError, match='speek'):
    gm.speek  # noqa: B018


def test_a_saved_talk_is_its_frames_with_the_sound(talker, folder):
  talk = talker.speak(str(folder / 'voice.wav'), emotion='0:happy 0.3:sad@0.5', seed=3)
  talk.save(folder / 'talk.mp4')
  frames = list(talk.frames)
  assert np.shape(frames) == (15, 64, 64, 3)
  track = audio.read(folder / 'voice.wav', 48_000)
  video.write(folder / 'by_hand.mp4', frames, track, 48_000)
  assert (folder / 'talk.mp4').read_bytes() == (folder / 'by_hand.mp4').read_bytes()
  assert talk.emotion.shape == (15, 8)
  assert talk.emotion[0].argmax() == schema.EMOTIONS.index('happy')
  assert talk.coefficients.expression.shape == (15, 50)


def test_frames_can_be_read_again_and_others_saved_instead(talker, folder):
  talk = talker.speak(folder / 'voice.wav')
  np.testing.assert_array_equal(next(talk.frames), next(talk.frames))
  talk.save(folder / 'small.mp4', frames=(f[::2, ::2] for f in talk.frames))
  assert np.stack(list(video.stream(folder / 'small.mp4'))).shape == (15, 32, 32, 3)


def test_samples_and_the_file_that_holds_them_give_one_talk(talker, folder):
  wave = audio.read(folder / 'voice.wav')
  one, two = talker.speak(wave), talker.speak(folder / 'voice.wav')
  np.testing.assert_array_equal(one.coefficients.motion, two.coefficients.motion)
  other = talker.speak(wave, seed=1)
  assert (one.coefficients.motion != other.coefficients.motion).any()
  one.save(folder / 'samples.mp4')
  assert len(audio.read(folder / 'samples.mp4')) >= len(wave)


def test_every_argument_reaches_the_talk_from_the_library_and_the_command_line(talker, folder):
  from gmtalker_jax.cli.main import main

  npz, voice = folder / 'c.npz', folder / 'voice.wav'
  assert not main([
    'speak', '--talker', str(folder / 'talker'), '--audio', str(voice), '--out',
    str(folder / 'cli.mp4'), '--coefficients', str(npz), '--emotion', 'angry', '--intensity', '0.5',
    '--seed', '4', '--temperature', '0.7', '--motion-scale', '0.3', '--sampling', 'moment',
  ])  # fmt: skip
  talk = talker.speak(voice, 'angry', 0.5, 4, temperature=0.7, motion_scale=0.3, sampling='moment')
  talk.save(folder / 'library.mp4')
  assert (folder / 'library.mp4').read_bytes() == (folder / 'cli.mp4').read_bytes()
  parts, emotion = talkers.load(str(folder / 'talker')), timeline.parse('angry', 0.5, 15)
  expected = speak.speak(parts, audio.read(voice), emotion, 4, 0.7, 0.3, 'moment').coefficients
  with np.load(npz) as values:
    np.testing.assert_array_equal(values['expression'][0], expected.expression)
    np.testing.assert_array_equal(values['motion'][0], expected.motion)
  np.testing.assert_array_equal(talk.coefficients.motion, expected.motion)


def test_a_blend_is_between_its_emotions_or_one_of_them(talker):
  wave = np.sin(np.arange(9600) / 20).astype(np.float32)

  def face(emotion, sampling):
    return talker.speak(wave, emotion, temperature=0.0, sampling=sampling).coefficients.expression

  happy, sad = face('happy', 'component'), face('sad', 'component')
  np.testing.assert_array_equal(happy, face('happy', 'interpolation'))
  assert np.abs(happy - sad).max() > 1e-3
  one = face('happy+sad', 'component')
  assert min(np.abs(one - x).max() for x in (happy, sad)) < 1e-6
  between = face('happy+sad', 'interpolation')
  assert min(np.abs(between - x).max() for x in (happy, sad)) > 1e-4


@pytest.mark.parametrize(
  ('call', 'match'),
  [
    (lambda t, f: gm.load(f / 'nobody'), 'nobody'),
    (lambda t, f: t.speak(f / 'nothing.wav'), 'nothing.wav'),
    (lambda t, f: t.speak(np.zeros((2, 800))), r'samples \[2, 800\]'),
    (lambda t, f: t.speak(np.full(800, np.nan)), 'finite'),
    (lambda t, f: t.speak(np.zeros(800), 'hapy'), "did you mean 'happy'"),
    (lambda t, f: t.speak(np.zeros(800), 'happy', 3.0), 'from 0 to 1'),
    (lambda t, f: t.speak(np.zeros(800), sampling='mean'), "got sampling 'mean'"),
    (lambda t, f: t.speak(np.zeros(800)).save(f / 'talk.avi'), r'ends in \.mp4'),
    (lambda t, f: t.speak(np.zeros(800)).save(f / 'no' / 'talk.mp4'), 'cannot write'),
  ],
)
def test_bad_input_is_one_line(call, match, talker, folder):
  with pytest.raises(gm.InputError, match=match) as caught:
    call(talker, folder)
  assert '\n' not in str(caught.value)


def test_a_sound_is_read_once(talker, folder, monkeypatch):
  sound = api.hear(folder / 'voice.wav')
  monkeypatch.setattr(audio, 'read', None)
  assert len(talker.speak(sound).emotion) == 15
