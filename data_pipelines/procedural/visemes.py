"""Phonemes -> ARKit mouth weights, with coarticulation by dominance functions.

Each sound pulls the mouth towards its target; how strongly, and for how long before and after, is
its dominance (Cohen & Massaro 1993). A sound may be strong for the lips and weak for the jaw, so
dominance is kept per articulator. Lips close exactly where p, b and m close them.
"""

import functools
from typing import NamedTuple

import numpy as np

from gmtalker_jax.data import schema

from .voice import Phoneme

GRID_RATE = 100  # Hz; a multiple of the frame rate, so that frame t is sampled at (t + 0.5) / 25 s


class Track(NamedTuple):
  """The mouth of a neutral speaker. T video frames."""

  weights: np.ndarray  # [T, 50] float32, in the order of schema.EXPRESSION_NAMES
  closure: np.ndarray  # [T] 0..1: 1 = the lips are together (p, b, m)
  labiodental: np.ndarray  # [T] 0..1: 1 = the lower lip is at the teeth (f, v)


class Viseme(NamedTuple):
  """A mouth shape and its dominance over the articulators jaw, rounding and lips."""

  shape: dict[str, float]  # ARKit names; a name without Left/Right stands for both
  jaw: float = 1.0
  rounding: float = 1.0
  lips: float = 1.0


REST = Viseme({}, 0.9, 0.8, 0.9)
VISEMES = {
  'ɑ': Viseme({'jawOpen': 0.40, 'mouthLowerDown': 0.18, 'mouthUpperUp': 0.08}, 1.0, 0.5, 0.6),
  'a': Viseme({'jawOpen': 0.38, 'mouthLowerDown': 0.20, 'mouthUpperUp': 0.10, 'mouthStretch': 0.08},
              1.0, 0.5, 0.6),
  'æ': Viseme({'jawOpen': 0.33, 'mouthLowerDown': 0.24, 'mouthUpperUp': 0.16, 'mouthStretch': 0.20},
              1.0, 0.6, 0.7),
  'ʌ': Viseme({'jawOpen': 0.24, 'mouthLowerDown': 0.14, 'mouthUpperUp': 0.06}, 0.8, 0.4, 0.5),
  'ə': Viseme({'jawOpen': 0.15, 'mouthLowerDown': 0.10, 'mouthUpperUp': 0.04}, 0.4, 0.2, 0.3),
  'ɛ': Viseme({'jawOpen': 0.24, 'mouthLowerDown': 0.22, 'mouthUpperUp': 0.10, 'mouthStretch': 0.20},
              0.9, 0.6, 0.7),
  'ɪ': Viseme({'jawOpen': 0.12, 'mouthLowerDown': 0.18, 'mouthUpperUp': 0.08, 'mouthStretch': 0.24,
               'mouthSmile': 0.08}, 0.7, 0.6, 0.6),
  'i': Viseme({'jawOpen': 0.08, 'mouthLowerDown': 0.20, 'mouthUpperUp': 0.10, 'mouthStretch': 0.34,
               'mouthSmile': 0.14}, 0.9, 0.9, 0.9),
  'ɔ': Viseme({'jawOpen': 0.28, 'mouthFunnel': 0.34, 'mouthPucker': 0.14, 'mouthLowerDown': 0.08},
              0.9, 0.9, 0.7),
  'o': Viseme({'jawOpen': 0.20, 'mouthFunnel': 0.34, 'mouthPucker': 0.28}, 0.8, 1.0, 0.7),
  'ʊ': Viseme({'jawOpen': 0.10, 'mouthFunnel': 0.22, 'mouthPucker': 0.40}, 0.6, 0.9, 0.6),
  'u': Viseme({'jawOpen': 0.07, 'mouthFunnel': 0.22, 'mouthPucker': 0.62}, 0.9, 1.2, 0.9),
  'ɜ': Viseme({'jawOpen': 0.14, 'mouthFunnel': 0.22, 'mouthPucker': 0.22}, 0.7, 0.8, 0.6),
  'p': Viseme({'jawOpen': 0.05}, 0.6, 0.1, 0.8),
  'b': Viseme({'jawOpen': 0.05}, 0.6, 0.1, 0.8),
  'm': Viseme({'jawOpen': 0.05}, 0.6, 0.1, 0.8),
  'f': Viseme({'jawOpen': 0.05}, 0.9, 0.4, 1.4),
  'v': Viseme({'jawOpen': 0.05}, 0.9, 0.4, 1.4),
  'θ': Viseme({'jawOpen': 0.09, 'mouthLowerDown': 0.18, 'mouthUpperUp': 0.06, 'tongueOut': 0.16},
              0.8, 0.3, 0.6),
  't': Viseme({'jawOpen': 0.06, 'mouthLowerDown': 0.16, 'mouthUpperUp': 0.06, 'mouthStretch': 0.10},
              0.7, 0.1, 0.35),
  's': Viseme({'jawOpen': 0.03, 'mouthLowerDown': 0.24, 'mouthUpperUp': 0.08, 'mouthStretch': 0.22},
              1.2, 0.3, 0.6),
  'l': Viseme({'jawOpen': 0.13, 'mouthLowerDown': 0.14, 'mouthUpperUp': 0.06, 'tongueOut': 0.04},
              0.6, 0.1, 0.35),
  'ʃ': Viseme({'jawOpen': 0.05, 'mouthFunnel': 0.46, 'mouthPucker': 0.20, 'mouthLowerDown': 0.12,
               'mouthUpperUp': 0.10}, 1.1, 1.0, 0.8),
  'k': Viseme({'jawOpen': 0.12, 'mouthLowerDown': 0.10, 'mouthUpperUp': 0.04}, 0.35, 0.05, 0.2),
  'w': Viseme({'jawOpen': 0.05, 'mouthFunnel': 0.16, 'mouthPucker': 0.68}, 0.9, 1.4, 1.0),
  'ɹ': Viseme({'jawOpen': 0.10, 'mouthFunnel': 0.30, 'mouthPucker': 0.24}, 0.6, 0.7, 0.5),
  'j': Viseme({'jawOpen': 0.07, 'mouthLowerDown': 0.14, 'mouthStretch': 0.24}, 0.7, 0.5, 0.5),
  'h': Viseme({'jawOpen': 0.12}, 0.08, 0.03, 0.05),
}  # fmt: skip
_SAME = {
  'tʃ': 'ʃ', 'dʒ': 'ʃ', 'ʒ': 'ʃ', 'z': 's', 'd': 't', 'n': 't', 'ɾ': 't', 'ʔ': 'h', 'ð': 'θ',
  'ɡ': 'k', 'g': 'k', 'ŋ': 'k', 'x': 'k', 'ɐ': 'ʌ', 'ɚ': 'ɜ', 'ɝ': 'ɜ', 'r': 'ɹ', 'e': 'ɛ',
  'ɒ': 'ɔ', 'ɫ': 'l', 'ᵻ': 'ɪ', 'ɨ': 'ɪ', 'y': 'i', 'ʍ': 'w',
}  # fmt: skip

_CLOSING = ('p', 'b', 'm')
_ARTICULATORS = {
  'jaw': ('jawOpen', 'tongueOut'),
  'rounding': ('mouthFunnel', 'mouthPucker', 'mouthStretch', 'mouthSmile'),
  'lips': ('mouthLowerDown', 'mouthUpperUp'),
}
# Seconds over which a dominance falls to 1/e: lips round ahead of time and long.
_BEFORE = {'jaw': 0.065, 'rounding': 0.095, 'lips': 0.060}
_AFTER = {'jaw': 0.070, 'rounding': 0.080, 'lips': 0.065}
_POWER = 1.7
_PAUSE = 0.06  # seconds; a longer gap between phonemes is a pause


class Segment(NamedTuple):
  """A stretch of time with one target; diphthongs are two of them."""

  start: float
  end: float
  viseme: str  # a key of VISEMES, or '' = rest
  stress: float  # factor of the amplitude


def articulate(
  phonemes: list[Phoneme], frames: int, articulation: float = 1.0, loudness: float = 0.0
) -> Track:
  """Moves the mouth.

  Args:
    phonemes: what is said when.
    frames: T.
    articulation: the person's factor of the amplitude.
    loudness: dB over neutral; a louder voice opens the mouth wider.

  Returns:
    A track of T frames at 25 Hz.
  """
  step = GRID_RATE // schema.FRAME_RATE
  times = np.arange(frames * step) / GRID_RATE
  segments = segment(phonemes, frames / schema.FRAME_RATE)
  amplitude = articulation * 10 ** (loudness / 40)
  weights = _blend(segments, times, amplitude)
  closure = _envelope([closure_span(p) for p in phonemes if sound(p) in _CLOSING], times, 0.05)
  labiodental = _envelope([(p.start, p.end) for p in phonemes if sound(p) in 'fv'], times, 0.05)
  weights = _close(_bite(weights, labiodental), closure)
  pick = slice(step // 2, None, step)
  return Track(weights[pick].astype(np.float32), closure[pick], labiodental[pick])


def sound(phoneme: Phoneme) -> str:
  """The symbol without stress and length."""
  return phoneme.symbol.strip('ˈˌ').replace('ː', '')


def closure_span(phoneme: Phoneme) -> tuple[float, float]:
  """Seconds from when to when the lips of p, b or m are together: at least one frame."""
  length = phoneme.end - phoneme.start
  if sound(phoneme) == 'm':
    start, end = phoneme.start, phoneme.end - 0.015
  else:  # the rest of a stop is its release
    start, end = phoneme.start - 0.012, phoneme.start + float(np.clip(0.65 * length, 0.045, 0.065))
  missing = max(0.0, 0.046 - (end - start)) / 2
  return start - missing, end + missing


def segment(phonemes: list[Phoneme], duration: float) -> list[Segment]:
  """Splits diphthongs and puts rest into pauses and both ends."""
  segments, clock = [], 0.0
  for phoneme in phonemes:
    if phoneme.start - clock > _PAUSE:
      segments.append(Segment(clock, phoneme.start, '', 1.0))
    keys = _keys(sound(phoneme))
    stress = 1.12 if 'ˈ' in phoneme.symbol else 1.0 if 'ˌ' in phoneme.symbol else 0.88
    edges = np.linspace(phoneme.start, phoneme.end, len(keys) + 1).tolist()
    segments += [Segment(a, b, k, stress) for a, b, k in zip(edges, edges[1:], keys, strict=False)]
    clock = phoneme.end
  if duration - clock > _PAUSE / 2:
    segments.append(Segment(clock, duration, '', 1.0))
  return segments


@functools.cache
def _keys(symbol: str) -> tuple[str, ...]:
  """'aɪ' -> ('a', 'ɪ'), 'tʃ' -> ('ʃ',). What no table knows is left out."""
  keys, i = [], 0
  while i < len(symbol):
    for size in (2, 1):
      key = symbol[i : i + size]
      if len(key) == size and (key in VISEMES or key in _SAME):
        keys.append(_SAME.get(key, key))
        i += size - 1
        break
    i += 1
  return tuple(keys) or ('ə',)


def _blend(segments: list[Segment], times: np.ndarray, amplitude: float) -> np.ndarray:
  """[N, 50] mean of the targets, weighted by dominance."""
  weights = np.zeros((len(times), len(schema.EXPRESSION_NAMES)))
  starts = np.array([s.start for s in segments])[:, None]
  ends = np.array([s.end for s in segments])[:, None]
  centre, half = (starts + ends) / 2, (ends - starts) / 2
  rest = np.array([not s.viseme for s in segments])[:, None]
  core = np.where(rest, np.maximum(half - 0.05, 0), 0.3 * half)
  before = np.maximum(0, centre - core - times)
  after = np.maximum(0, times - centre - core)
  for articulator, names in _ARTICULATORS.items():
    strength = [getattr(_viseme(s), articulator) for s in segments]
    distance = before / _BEFORE[articulator] + after / _AFTER[articulator]
    dominance = np.array(strength)[:, None] * np.exp(-(distance**_POWER)) + 1e-12
    dominance /= dominance.sum(0)
    for name in names:
      target = np.array([_viseme(s).shape.get(name, 0) * s.stress * amplitude for s in segments])
      weights[:, columns(name)] = (target @ dominance)[:, None]
  return np.clip(weights, 0, 1)


def _viseme(s: Segment) -> Viseme:
  return VISEMES[s.viseme] if s.viseme else REST


@functools.cache
def columns(name: str) -> list[int]:
  """Indices of a blendshape in the expression; a name without Left/Right means both."""
  names = schema.EXPRESSION_NAMES
  both = (name, f'{name}Left', f'{name}Right')
  return [i for i, n in enumerate(names) if n in both]


def _envelope(spans: list[tuple[float, float]], times: np.ndarray, ramp: float) -> np.ndarray:
  """[N] 1 inside the spans, a raised cosine of `ramp` seconds outside."""
  out = np.zeros(len(times))
  for start, end in spans:
    outside = np.maximum(0, np.maximum(start - times, times - end))
    out = np.maximum(out, 0.5 + 0.5 * np.cos(np.pi * np.minimum(outside / ramp, 1)))
  return out


def _bite(weights: np.ndarray, labiodental: np.ndarray) -> np.ndarray:
  """Brings the lower lip under the upper teeth."""
  out = weights.copy()
  _scale(out, ('mouthLowerDown', 'mouthFunnel'), 1 - labiodental)
  _scale(out, ('mouthPucker', 'jawOpen'), 1 - 0.6 * labiodental)
  for name, value in (('mouthRollLower', 0.45), ('mouthShrugLower', 0.18), ('mouthUpperUp', 0.20)):
    out[:, columns(name)] += (value * labiodental)[:, None]
  return out


def _close(weights: np.ndarray, closure: np.ndarray) -> np.ndarray:
  """Closes the lips: the jaw rises half way, `mouthClose` takes back what is left of it."""
  out = weights.copy()
  _scale(out, ('mouthLowerDown', 'mouthUpperUp', 'mouthFunnel'), 1 - closure)
  _scale(out, ('mouthRollLower', 'mouthShrugLower', 'mouthStretch'), 1 - 0.6 * closure)
  _scale(out, ('jawOpen',), 1 - 0.55 * closure)
  out[:, columns('mouthClose')] = closure[:, None] * out[:, columns('jawOpen')]
  for name, value in (('mouthPress', 0.16), ('mouthRollLower', 0.10), ('mouthRollUpper', 0.06)):
    out[:, columns(name)] += (value * closure)[:, None]
  return out


def _scale(weights: np.ndarray, names: tuple[str, ...], factor: np.ndarray) -> None:
  for name in names:
    weights[:, columns(name)] *= factor[:, None]
