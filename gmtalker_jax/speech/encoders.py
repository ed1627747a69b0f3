"""The table of encoders, and how one is opened by its spelling."""

import math
from typing import NamedTuple

import numpy as np

from gmtalker_jax.core.errors import InputError, check_choice
from gmtalker_jax.speech import loudness
from gmtalker_jax.speech.embedding import SPEECH_EMBEDDING
from gmtalker_jax.speech.encoder import Encoder, digest
from gmtalker_jax.speech.hubert import HUBERT_BASE, HUBERT_LARGE
from gmtalker_jax.speech.logmel import LOGMEL

DEFAULT = 'logmel+embedding'
_ALL = (LOGMEL, SPEECH_EMBEDDING, HUBERT_BASE, HUBERT_LARGE)
ENCODERS = {encoder.name: encoder for encoder in _ALL}

_CAUSAL = 'causal'


def encode(waveform: np.ndarray, encoder: str = DEFAULT) -> np.ndarray:
  """Encodes speech.

  Args:
    waveform: [S] samples at 16 kHz, full scale 1.
    encoder: as in the package's docstring, e.g. 'logmel+embedding'.

  Returns:
    [2T, D] float32 with T = ceil(S / 640) video frames and D = `dimension(encoder)`.

  Raises:
    InputError: empty, not one-dimensional or not finite sound; what `open` raises; a network that
      is not installed.
  """
  return open(encoder).encode(waveform)


def dimension(encoder: str = DEFAULT) -> int:
  """Width D of the features of `encoder`; reads no network. Raises InputError on a wrong name."""
  return sum(part.dimension for part in _parse(encoder).parts)


def open(encoder: str = DEFAULT) -> Encoder:
  """Opens an encoder by its spelling. Reads a network only to compare digests.

  Raises:
    InputError: a name that is not in the table; a digest that is not the installed encoder's.
  """
  spelling = _parse(encoder)
  opened = _joined(spelling)
  if spelling.digest and spelling.digest != opened.digest():
    raise InputError(
      f'got features of {encoder}, expected {opened.identity} which is installed; prepare and '
      'train again, or install the version of this program that made them'
    )
  return opened


def same(a: str, b: str) -> bool:
  """Whether two spellings mean one encoder: equal names, and equal digests where both say one.

  Raises:
    InputError: a spelling that cannot be parsed.
  """
  one, other = _parse(a), _parse(b)
  digests = {one.digest, other.digest} - {''}
  return one.name == other.name and len(digests) < 2


class _Spelling(NamedTuple):
  causal: bool
  parts: tuple[Encoder, ...]
  digest: str  # '' = by name

  @property
  def name(self) -> str:
    """The spelling without a digest."""
    names = '+'.join(part.name for part in self.parts)
    return f'{_CAUSAL}:{names}' if self.causal else names


def _parse(encoder: str) -> _Spelling:
  name, at, found = encoder.partition('@')
  if at and not (len(found) == 8 and set(found) <= set('0123456789abcdef')):
    raise InputError(
      f'got speech encoder {encoder!r}, expected eight hexadecimal digits after the @, or no @'
    )
  law, colon, names = name.rpartition(':')
  if colon and law != _CAUSAL:
    raise InputError(
      f"got {law!r} before the colon of speech encoder {encoder!r}, expected '{_CAUSAL}' or "
      'nothing, name no path'
    )
  return _Spelling(bool(colon), tuple(_known(one) for one in names.split('+')), found)


def _known(name: str) -> Encoder:
  check_choice("speech encoder (joined with '+')", name, ENCODERS)
  return ENCODERS[name]


def _joined(spelling: _Spelling) -> Encoder:
  """The parts side by side, after one normalisation of the loudness."""
  parts = spelling.parts
  normalize, law = loudness.level, loudness.LEVEL_DIGEST
  if spelling.causal:
    normalize, law = loudness.follow, loudness.FOLLOW_DIGEST

  def encode_parts(waveform: np.ndarray) -> np.ndarray:
    wave = normalize(_checked(waveform))
    return np.concatenate([part.encode(wave) for part in parts], axis=1)

  return Encoder(
    name=spelling.name,
    dimension=sum(part.dimension for part in parts),
    look_ahead_ms=max(part.look_ahead_ms for part in parts) if spelling.causal else math.inf,
    digest=lambda: digest(law, *(part.digest() for part in parts)),
    encode=encode_parts,
  )


def _checked(waveform: np.ndarray) -> np.ndarray:
  wave = np.asarray(waveform, np.float32)
  if wave.ndim != 1 or wave.size == 0:
    raise InputError(f'got sound of shape {wave.shape}, expected [S] mono samples, S >= 1')
  if not np.isfinite(wave).all():
    raise InputError(
      'got sound with NaN or infinite samples, expected finite numbers; re-export it'
    )
  return wave
