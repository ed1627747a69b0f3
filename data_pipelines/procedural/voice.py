"""Speech with exact phoneme times from espeak-ng (GPL-3; only its library is used, at run time).

espeak-ng reports when each phoneme starts in the samples that it makes. That is the truth the
visemes are built on.
"""

import _ctypes
import contextlib
import ctypes
import threading
from collections.abc import Generator
from typing import NamedTuple

import espeakng_loader
import numpy as np
import soxr

from gmtalker_jax.core.errors import InputError, check_choice
from gmtalker_jax.data import schema


class Voice(NamedTuple):
  """A speaker of espeak-ng. Pitch and range: 0..100, 50 is the voice's own. Rate: words/minute."""

  name: str = 'en-us'  # language and variant, e.g. en-us+f3
  pitch: float = 50.0
  range: float = 50.0
  rate: float = 165.0


class Prosody(NamedTuple):
  """How a feeling changes a voice: added to pitch and range, factor of rate, loudness in dB."""

  pitch: float = 0.0
  range: float = 0.0
  rate: float = 1.0
  loudness: float = 0.0


class Phoneme(NamedTuple):
  """One sound in IPA; seconds from the start of the audio. A stop starts with its closure."""

  start: float
  end: float
  symbol: str  # with the stress marks ˈ and ˌ


class Utterance(NamedTuple):
  """Speech and what was said when."""

  audio: np.ndarray  # [S] float32 at 16 kHz
  phonemes: list[Phoneme]


# After Banse & Scherer 1996 and Juslin & Laukka 2003 (table 7): direction of pitch level, pitch
# range, tempo and voice intensity, at level 3.
PROSODY = {
  'angry': Prosody(8, 25, 1.10, 5.0),
  'contempt': Prosody(-8, -12, 0.90, -1.0),
  'disgusted': Prosody(-10, 6, 0.88, 0.0),
  'fear': Prosody(22, -8, 1.14, 0.0),
  'happy': Prosody(16, 28, 1.06, 3.0),
  'neutral': Prosody(),
  'sad': Prosody(-12, -24, 0.82, -5.0),
  'surprised': Prosody(24, 38, 0.97, 3.0),
}

_VOICELESS_STOPS = ('p', 't', 'k', 'tʃ')
_QUIET = 0.03  # of the peak: the silent closure of a voiceless stop
_CLOSURE = 0.09  # seconds; no closure is longer
_PEAK = 0.25  # of a neutral utterance


def prosody(emotion: str, level: int) -> Prosody:
  """The prosody of an emotion at a level 0..3: linear in level / 3."""
  check_choice('emotion', emotion, PROSODY)
  full, a = PROSODY[emotion], level / schema.LEVELS
  return Prosody(full.pitch * a, full.range * a, 1 + (full.rate - 1) * a, full.loudness * a)


def speak(
  text: str, voice: Voice, how: Prosody = PROSODY['neutral'], silence: tuple = (0.3, 0.3)
) -> Utterance:
  """Speaks English text.

  Args:
    text: one or more sentences.
    voice: who.
    how: `prosody(emotion, level)`.
    silence: seconds of silence before and after.

  Returns:
    The utterance; the same arguments give the same samples.

  Raises:
    InputError: no speech comes from this text, or the voice is unknown.
  """
  settings = {
    1: round(voice.rate * how.rate),
    3: round(np.clip(voice.pitch + how.pitch, 0, 99)),
    4: round(np.clip(voice.range + how.range, 0, 99)),
  }
  samples, rate, events = _synthesize(text, voice.name, settings)
  if not any(symbol for _, symbol in events):
    raise InputError(f"got text '{text}' with nothing to say, expected English words")
  phonemes = _phonemes(samples, rate, events)
  return _placed(samples, rate, phonemes, how.loudness, silence)


def _phonemes(samples: np.ndarray, rate: int, events: list[tuple[int, str]]) -> list[Phoneme]:
  """Turns starts into spans, and gives voiceless stops the silent closure before their burst."""
  starts = [start for start, _ in events] + [len(samples)]
  quiet = np.abs(samples) < _QUIET * max(1, np.abs(samples).max())
  for i, (start, symbol) in enumerate(events):
    if symbol.lstrip('ˈˌ') in _VOICELESS_STOPS and i and events[i - 1][1]:
      earliest = max(starts[i - 1] + rate // 50, start - round(_CLOSURE * rate), 0)
      heard = np.flatnonzero(~quiet[earliest : start - rate // 250])  # 4 ms: the burst itself
      starts[i] = int(earliest + (heard[-1] + 1 if heard.size else 0))
  return [
    Phoneme(starts[i] / rate, starts[i + 1] / rate, symbol)
    for i, (_, symbol) in enumerate(events)
    if symbol and starts[i + 1] > starts[i]
  ]


def _placed(samples, rate: int, phonemes, loudness: float, silence: tuple) -> Utterance:
  """Resamples, sets the loudness, trims espeak's own pauses and puts the silence around."""
  first, last = phonemes[0].start, phonemes[-1].end
  wave = samples[round(first * rate) : round(last * rate)].astype(np.float32)
  wave = soxr.resample(wave, rate, schema.SAMPLE_RATE)
  gain = _PEAK * 10 ** (loudness / 20) / max(1.0, np.abs(wave).max())
  before, after = (round(s * schema.SAMPLE_RATE) for s in silence)
  shift = before / schema.SAMPLE_RATE - first
  audio = np.pad((wave * gain).astype(np.float32), (before, after))
  return Utterance(audio, [Phoneme(p.start + shift, p.end + shift, p.symbol) for p in phonemes])


# ---- espeak-ng through ctypes: names and numbers as in its speak_lib.h -------------


class _Id(ctypes.Union):
  _fields_ = (
    ('number', ctypes.c_int),
    ('name', ctypes.c_char_p),
    ('string', ctypes.c_char * 8),
  )


class _Event(ctypes.Structure):
  _fields_ = (
    ('type', ctypes.c_int),
    ('unique_identifier', ctypes.c_uint),
    ('text_position', ctypes.c_int),
    ('length', ctypes.c_int),
    ('audio_position', ctypes.c_int),
    ('sample', ctypes.c_int),
    ('user_data', ctypes.c_void_p),
    ('id', _Id),
  )


_Callback = ctypes.CFUNCTYPE(
  ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)
_PHONEME_EVENT = 7
_SYNCHRONOUS = 2
_OPTIONS = 1 << 0 | 1 << 1 | 0x8000  # phoneme events, in IPA, never exit the process
_UTF8 = 1
_ALONE = threading.Lock()  # there is one espeak-ng per process
# rate, volume, pitch, range, punctuation, capitals, word gap: all set on every call
_PARAMETERS = {1: 175, 2: 100, 3: 50, 4: 50, 5: 0, 6: 0, 7: 0}


@contextlib.contextmanager
def _library() -> Generator[ctypes.CDLL, None, None]:
  """espeak-ng, loaded anew, for one thread at a time.

  Its oscillators and random numbers are process-global and go on from call to call; nothing in its
  interface resets them. Loading it for every utterance (7 ms) makes its samples a function of the
  arguments alone.
  """
  with _ALONE:
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    try:
      yield library
    finally:
      _ctypes.dlclose(library._handle)  # noqa: SLF001  (ctypes has no public way)


def _synthesize(text: str, voice: str, settings: dict) -> tuple[np.ndarray, int, list]:
  """-> samples int16 [S], their rate, [(first sample, IPA or '' for a pause)]."""
  pieces, events = [], []

  @_Callback
  def receive(samples, count, event):
    if samples and count > 0:
      pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
    i = 0
    while event[i].type:
      if event[i].type == _PHONEME_EVENT:
        symbol = bytes(event[i].id.string).split(b'\0')[0].decode('utf-8', 'ignore')
        events.append((event[i].sample, symbol))
      i += 1
    return 0

  with _library() as library:
    data = espeakng_loader.get_data_path().encode()
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, data, _OPTIONS)
    if rate <= 0:
      raise InputError('got no speech from espeak-ng; reinstall the package espeakng-loader')
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # seeded from the clock otherwise
    library.espeak_SetSynthCallback(receive)
    if library.espeak_SetVoiceByName(voice.encode()):
      raise InputError(f"got voice '{voice}', expected an espeak-ng voice such as en-us+f3")
    for parameter, value in {**_PARAMETERS, **settings}.items():
      library.espeak_SetParameter(parameter, int(value), 0)
    encoded = text.encode()
    library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    library.espeak_Terminate()
  audio = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
  return audio, rate, events
