import os
from fractions import Fraction

import av
import numpy as np
import pytest

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import audio, video


def _scene(frames: int, height: int = 64, width: int = 80) -> np.ndarray:
  y, x = np.mgrid[:height, :width]
  moving = [
    np.stack([x * 2, y * 3, 120 + 90 * np.sin((x + 3 * t) / 14)], -1) for t in range(frames)
  ]
  return np.clip(np.stack(moving), 0, 255).astype(np.uint8)


def _psnr(a: np.ndarray, b: np.ndarray) -> float:
  return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


def _counted(path, times) -> None:
  """Writes one frame at each of `times` (s); its brightness is its number, times four."""
  with av.open(str(path), 'w', format='mp4') as container:
    track = container.add_stream('libx264', rate=30)
    track.width = track.height = 32
    track.pix_fmt, track.options = 'yuv420p', {'crf': '1'}
    track.codec_context.time_base = Fraction(1, 600)
    for number, time in enumerate(times):
      frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 4 * number, np.uint8), format='rgb24')
      frame.pts, frame.time_base = round(time * 600), Fraction(1, 600)
      container.mux(track.encode(frame))
    container.mux(track.encode(None))


def _read(path) -> np.ndarray:
  return np.stack(list(video.stream(path)))


def _numbers(frames: np.ndarray) -> np.ndarray:
  return np.round(frames.mean((1, 2, 3)) / 4).astype(int)


def test_round_trip_keeps_every_frame_and_the_colours(tmp_path):
  frames = _scene(30)
  assert video.write(tmp_path / 'a.mp4', iter(frames)) == 30
  back = _read(tmp_path / 'a.mp4')
  assert back.shape == frames.shape
  assert _psnr(back, frames) > 36


@pytest.mark.skipif(
  not hasattr(os, 'sched_setaffinity') or len(os.sched_getaffinity(0)) < 2, reason='needs two cores'
)
def test_the_bytes_are_the_same_on_any_number_of_cores(tmp_path):
  frames, cores = _scene(20, 256, 256), os.sched_getaffinity(0)
  video.write(tmp_path / 'many.mp4', frames)
  try:
    os.sched_setaffinity(0, {min(cores)})
    video.write(tmp_path / 'one.mp4', frames)
  finally:
    os.sched_setaffinity(0, cores)
  assert (tmp_path / 'one.mp4').read_bytes() == (tmp_path / 'many.mp4').read_bytes()


def test_flash_and_click_stay_together(tmp_path):
  frames, wave = np.zeros((50, 32, 32, 3), np.uint8), np.zeros(50 * 640, np.float32)
  frames[31:] = 255
  wave[31 * 640 :] = 0.5 * np.sin(np.arange(19 * 640) * 0.3)
  video.write(tmp_path / 'a.mp4', frames, wave)
  flash = np.argmax(_read(tmp_path / 'a.mp4').mean((1, 2, 3)) > 128)
  heard = audio.read(tmp_path / 'a.mp4')
  click = np.argmax(np.abs(heard) > 0.1) / 640
  assert flash == 31
  assert abs(click - 31) < 0.25
  assert len(heard) == len(wave)


@pytest.mark.parametrize('samples', [50 * 640, 49 * 640 + 1, 40 * 640 + 7])
def test_sound_keeps_its_length(tmp_path, samples):
  video.write(tmp_path / 'a.mp4', _scene(50), np.zeros(samples, np.float32))
  assert abs(len(audio.read(tmp_path / 'a.mp4')) - samples) <= 1


def test_thirty_frames_a_second_become_the_nearest_of_twenty_five(tmp_path):
  _counted(tmp_path / 'a.mp4', np.arange(60) / 30)
  back = _read(tmp_path / 'a.mp4')
  assert len(back) == 50
  exact = np.arange(50) / 25 * 30
  assert np.abs(_numbers(back) - exact).max() <= 0.51


def test_variable_rate_follows_timestamps(tmp_path):
  times = np.r_[np.arange(10) / 50, 0.2 + np.arange(10) / 10]
  _counted(tmp_path / 'a.mp4', times)
  numbers = _numbers(_read(tmp_path / 'a.mp4'))
  for k, number in enumerate(numbers[:28]):
    assert abs(times[number] - k / 25) <= np.abs(times - k / 25).min() + 1e-3


def test_odd_sizes_are_padded(tmp_path):
  frames = _scene(5, 33, 47)
  video.write(tmp_path / 'a.mp4', frames)
  back = _read(tmp_path / 'a.mp4')
  assert back.shape[1:3] == (34, 48)
  assert _psnr(back[:, :33, :47], frames) > 30


@pytest.mark.parametrize('share', [0.2, 0.5, 0.8])
def test_truncated_file_is_refused(tmp_path, share):
  video.write(tmp_path / 'a.mp4', _scene(50), np.zeros(32000, np.float32))
  whole = (tmp_path / 'a.mp4').read_bytes()
  (tmp_path / 'b.mp4').write_bytes(whole[: int(len(whole) * share)])
  with pytest.raises(InputError, match=r'b\.mp4'):
    _read(tmp_path / 'b.mp4')


def test_text_empty_missing_and_folder_are_refused(tmp_path):
  (tmp_path / 'text.mp4').write_text('I am not a film')
  (tmp_path / 'empty.mp4').touch()
  for name in ('text.mp4', 'empty.mp4', 'missing.mp4', '.'):
    with pytest.raises(InputError) as caught:
      _read(tmp_path / name)
    assert '\n' not in str(caught.value)


def test_sound_file_is_no_video(tmp_path):
  audio.write(tmp_path / 'a.m4a', np.zeros(16000, np.float32))
  with pytest.raises(InputError, match='expected a file with video'):
    _read(tmp_path / 'a.m4a')


def test_nothing_is_left_behind_on_error(tmp_path):
  def broken():
    yield from _scene(3)
    raise KeyError('the source failed')

  with pytest.raises(KeyError):
    video.write(tmp_path / 'a.mp4', broken())
  with pytest.raises(InputError, match='no frames'):
    video.write(tmp_path / 'a.mp4', iter(()))
  with pytest.raises(InputError, match='frames of one size'):
    video.write(tmp_path / 'a.mp4', [*_scene(2), *_scene(1, 32, 32)])
  assert not list(tmp_path.iterdir())
