import numpy as np
import pytest
import soundfile

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import audio


def _tone(seconds: float, rate: int) -> np.ndarray:
  return (0.4 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def test_wav_round_trip_is_exact_to_sixteen_bits(tmp_path):
  wave = _tone(0.5, 16000)
  audio.write(tmp_path / 'a.wav', wave)
  np.testing.assert_allclose(audio.read(tmp_path / 'a.wav'), wave, atol=1.1 / 32768)


def test_m4a_keeps_length_time_and_tone(tmp_path):
  wave = _tone(1.3, 16000) * (np.arange(20800) > 8000)
  audio.write(tmp_path / 'a.m4a', wave)
  back = audio.read(tmp_path / 'a.m4a')
  assert len(back) == len(wave)
  assert abs(np.argmax(np.abs(back) > 0.1) - 8000) < 160
  assert np.corrcoef(back[9000:20000], wave[9000:20000])[0, 1] > 0.999


def test_resamples_and_mixes_down(tmp_path):
  left, right = _tone(1.0, 44100), np.zeros(44100, np.float32)
  soundfile.write(tmp_path / 'a.wav', np.stack([left, right], -1), 44100)
  back = audio.read(tmp_path / 'a.wav')
  assert abs(len(back) - 16000) <= 1
  np.testing.assert_allclose(back[500:15000], _tone(1.0, 16000)[500:15000] / 2, atol=2e-3)


def test_bad_files_are_refused_in_one_line(tmp_path):
  (tmp_path / 'text.wav').write_text('la la la')
  (tmp_path / 'empty.wav').touch()
  audio.write(tmp_path / 'whole.m4a', _tone(2, 16000))
  whole = (tmp_path / 'whole.m4a').read_bytes()
  (tmp_path / 'half.m4a').write_bytes(whole[: len(whole) // 2])
  for name in ('text.wav', 'empty.wav', 'missing.wav', 'half.m4a'):
    with pytest.raises(InputError) as caught:
      audio.read(tmp_path / name)
    assert '\n' not in str(caught.value)


def test_bad_samples_and_names_are_refused(tmp_path):
  with pytest.raises(InputError, match='mono'):
    audio.write(tmp_path / 'a.wav', np.zeros((10, 2)))
  with pytest.raises(InputError, match='finite'):
    audio.write(tmp_path / 'a.wav', np.array([0.0, np.nan]))
  with pytest.raises(InputError, match=r'\.wav or \.m4a'):
    audio.write(tmp_path / 'a.ogg', np.zeros(10))
  assert not list(tmp_path.iterdir())
