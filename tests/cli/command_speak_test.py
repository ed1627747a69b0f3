import av
import numpy as np
import pytest
import tiny_talker

from gmtalker_jax.cli.main import main
from gmtalker_jax.data import schema
from gmtalker_jax.inference import bundling
from gmtalker_jax.io import audio, video


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  root = tmp_path_factory.mktemp('speak')
  bundling.save(tiny_talker.talker(), root / 'talker', {}, 'float16')
  wave = 0.1 * np.sin(np.arange(9_000) / 10)
  audio.write(root / 'voice.wav', wave)
  audio.write(root / 'voice.m4a', wave)
  return root


def _speak(folder, *more, sound='voice.wav', out='talk.mp4'):
  return main([
    'speak', '--talker', str(folder / 'talker'), '--audio', str(folder / sound), '--out',
    str(folder / out), *more,
  ])  # fmt: skip


def test_the_video_has_all_frames_and_the_sound(folder, capsys):
  (folder / 'talk.mp4').write_bytes(b'older')
  assert _speak(folder, '--emotion', '0:happy 0.3:sad@0.5', '--seed', '3') == 0
  clip = np.stack(list(video.stream(folder / 'talk.mp4')))
  assert clip.shape == (schema.frame_count(9_000), 64, 64, 3)
  sound = audio.read(folder / 'talk.mp4')
  original = audio.read(folder / 'voice.wav')
  count = min(len(sound), len(original))
  assert np.corrcoef(sound[:count], original[:count])[0, 1] > 0.95  # not shifted
  with av.open(str(folder / 'talk.mp4')) as container:
    assert container.streams.video[0].codec.name == 'h264'
    assert container.streams.audio[0].codec.name == 'aac'
  assert '15 frames' in capsys.readouterr().out


def test_grid_coefficients_size_and_alias(folder):
  out, npz = folder / 'grid.mp4', folder / 'c.npz'
  arguments = [
    'speak', '--talker', str(folder / 'talker'), '--driven_audio', str(folder / 'voice.m4a'),
    '--grid', 'emotions', '--coefficients', str(npz), '--size', '64', '--out', str(out),
  ]  # fmt: skip
  assert main(arguments) == 0
  assert np.stack(list(video.stream(out))).shape[1:] == (64, 128, 3)
  with np.load(npz) as values:
    assert list(values['label']) == list(schema.EMOTIONS)
    assert values['expression'].shape[::2] == (8, 50)
    np.testing.assert_array_equal(values['emotion'][:, 0].argmax(-1), range(8))


def test_a_failed_talk_leaves_nothing_behind(folder):
  (folder / 'noise.wav').write_bytes(b'this is no sound')
  before = sorted(p.name for p in folder.iterdir())
  assert _speak(folder, sound='noise.wav', out='new.mp4') == 2
  assert _speak(folder, '--emotion', '5:sad 1:happy', out='new.mp4') == 2
  assert sorted(p.name for p in folder.iterdir()) == before
