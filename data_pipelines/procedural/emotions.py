"""The eight MEAD emotions as ARKit weights, from the action units of the FACS literature.

Action units per emotion after the EMFACS tables (Ekman & Friesen 1983; Matsumoto & Ekman 2008):
happy 6+12(+25), sad 1+4+15+17, angry 4+5+7+23+24, fear 1+2+4+5+20+25, surprised 1+2+5+26,
disgusted 9+10+15+17, contempt 12+14 on one side.
"""

import numpy as np

from gmtalker_jax.data import schema

from . import lips
from .drift import bump, drift
from .people import Style
from .visemes import Track, columns
from .voice import Phoneme

# At level 3 of the average person. A name without Left/Right stands for both sides. Which of the
# units of an emotion are strong, and what goes with them, is as in tracked people who act it: their
# smile bares the upper teeth, their anger and disgust narrow the eyes. How strong: as two networks
# that learnt from photographs name them best (experiments/README.md).
SHAPES = {
  'neutral': {},
  'angry': {
    'browDown': 1.00, 'eyeSquint': 0.90, 'eyeWide': 0.55, 'noseSneer': 0.60,
    'mouthLowerDown': 0.70, 'mouthFunnel': 0.35, 'mouthUpperUp': 0.15, 'mouthFrown': 0.10,
  },
  'contempt': {
    'mouthSmile': 0.62, 'mouthDimple': 0.65, 'mouthUpperUp': 0.38, 'cheekSquint': 0.35,
    'eyeSquint': 0.25, 'browInnerUp': 0.25, 'browOuterUp': 0.50, 'mouthPress': 0.15,
  },
  'disgusted': {
    'noseSneer': 1.00, 'mouthUpperUp': 0.60, 'browDown': 0.55, 'cheekSquint': 0.55,
    'eyeSquint': 0.65, 'mouthFrown': 0.45, 'mouthShrugLower': 0.35, 'mouthLowerDown': 0.12,
  },
  'fear': {
    'browInnerUp': 0.60, 'browOuterUp': 0.15, 'browDown': 0.60, 'eyeWide': 0.45,
    'mouthStretch': 0.85, 'mouthLowerDown': 0.85, 'mouthUpperUp': 0.25, 'jawOpen': 0.08,
  },
  'happy': {
    'mouthSmile': 1.00, 'cheekSquint': 0.90, 'eyeSquint': 0.40, 'mouthDimple': 0.15,
    'mouthUpperUp': 0.80, 'mouthLowerDown': 0.25, 'jawOpen': 0.06,
  },
  'sad': {
    'browInnerUp': 0.80, 'browDown': 0.42, 'mouthFrown': 0.85, 'mouthShrugLower': 0.42,
    'eyeSquint': 0.45, 'cheekSquint': 0.15, 'mouthPucker': 0.05,
  },
  'surprised': {
    'browInnerUp': 0.90, 'browOuterUp': 0.90, 'eyeWide': 0.75, 'jawOpen': 0.35,
    'mouthFunnel': 0.14, 'mouthUpperUp': 0.06,
  },
}  # fmt: skip


# What moves together in the small restless movements of a face: (names, size).
_RESTLESS = (
  (('browInnerUp', 'browOuterUp'), 0.020),
  (('browDown',), 0.015),
  (('eyeSquint', 'cheekSquint'), 0.012),
  (('mouthSmile',), 0.010),
  (('mouthPress',), 0.012),
  (('mouthLeft',), 0.008),
  (('mouthRight',), 0.008),
)
_OPENING = ('jawOpen', 'mouthUpperUp', 'mouthLowerDown', 'mouthFunnel', 'mouthShrugUpper')
_WIDENING = ('mouthSmile', 'mouthStretch', 'mouthDimple')
_ROUNDING = ('mouthPucker', 'mouthFunnel')


def express(
  emotion: str,
  level: int,
  style: Style,
  phonemes: list[Phoneme],
  frames: int,
  rng: np.random.Generator,
) -> np.ndarray:
  """The feeling alone, as if nothing were said.

  Args:
    emotion: one of `schema.EMOTIONS`.
    level: 1..3; the strength is level / 3 of the person's own.
    style: the person's expressivity, asymmetry and side of contempt.
    phonemes: what is said; brows go up on some of the accents.
    frames: T.
    rng: of the course in time.

  Returns:
    [T, 50] weights 0..1 in the order of `schema.EXPRESSION_NAMES`.
  """
  strength = level / schema.LEVELS * style.expressivity
  shape = strength * apex(emotion, style)
  course = _course(frames, rng)
  return np.clip(course * shape + _restless(frames, rng) + _accents(phonemes, frames, rng), 0, 1)


def apex(emotion: str, style: Style) -> np.ndarray:
  """[50] the emotion of this person at level 3 and its height, before expressivity."""
  shape = np.zeros(len(schema.EXPRESSION_NAMES))
  for name, value in SHAPES[emotion].items():
    shape[columns(name)] = value
  for side, sign in (('Left', 1), ('Right', -1)):
    factor = 1 + sign * style.asymmetry
    if emotion == 'contempt' and side != style.contempt_side:
      factor = 0.08  # the unilateral emotion
    shape[[name.endswith(side) for name in schema.EXPRESSION_NAMES]] *= factor
  return shape


def combine(track: Track, feeling: np.ndarray) -> np.ndarray:
  """Speech and feeling in one face: [T, 50] float32.

  What both move adds up and saturates. Where speech needs the lips, the feeling gives way:
  nothing opens a closed mouth, rounding and widening weaken each other, an open mouth is not
  pressed.
  """
  speech, feeling = track.weights.astype(np.float64), feeling.copy()
  rounded = np.clip(speech[:, columns('mouthPucker') + columns('mouthFunnel')].sum(1) / 0.7, 0, 1)
  wide = feeling[:, columns('mouthSmile') + columns('mouthStretch')].max(1)
  opened = np.clip(speech[:, columns('jawOpen')[0]] / 0.3, 0, 1)
  _weaken(feeling, _OPENING, track.closure)
  _weaken(feeling, ('mouthLowerDown', 'mouthFunnel'), track.labiodental)
  _weaken(feeling, _WIDENING, 0.20 * rounded)
  _weaken(feeling, ('mouthPress', 'mouthRollUpper', 'mouthRollLower'), 0.8 * opened)
  _weaken(speech, _ROUNDING, 0.7 * wide)  # who smiles hardly rounds the lips
  face = np.clip(speech + feeling * (1 - speech), 0, 1)
  return lips.seal(face, track.closure, track.labiodental).astype(np.float32)


def _course(frames: int, rng: np.random.Generator) -> np.ndarray:
  """[T, 50] onset, apex and offset, each region of the face a little on its own."""
  time = (np.arange(frames) + 0.5) / schema.FRAME_RATE
  start, end = rng.uniform(0.55, 0.85), rng.uniform(0.70, 0.95)
  onset, offset = rng.uniform(0.35, 0.9), rng.uniform(0.3, 0.6)
  region = {'brow': 0, 'eye': 1, 'chee': 1, 'nose': 2, 'mout': 3, 'jawO': 3}
  delay = rng.uniform(-0.08, 0.08, 4)
  slow = 1 + 0.06 * drift(rng, frames, 4, 0.7)
  regions = []
  for lag in delay:
    rise = _ease((time - lag) / onset)
    fall = _ease((time[-1] - time - lag) / offset)
    regions.append((start + (1 - start) * rise) * (end + (1 - end) * fall))
  regions = np.stack(regions, 1) * slow
  return regions[:, [_region(name, region) for name in schema.EXPRESSION_NAMES]]


def _region(name: str, region: dict[str, int]) -> int:
  return next((r for prefix, r in region.items() if name.startswith(prefix)), 3)


def _ease(x: np.ndarray) -> np.ndarray:
  x = np.clip(x, 0, 1)
  return x * x * (3 - 2 * x)


def _restless(frames: int, rng: np.random.Generator) -> np.ndarray:
  """[T, 50] small movements that mean nothing; never of the jaw."""
  out = np.zeros((frames, len(schema.EXPRESSION_NAMES)))
  noise = drift(rng, frames, len(_RESTLESS), 0.35)
  for k, (names, size) in enumerate(_RESTLESS):
    for name in names:
      out[:, columns(name)] += size * np.maximum(0, 0.8 + noise[:, k : k + 1])
  return out


def _accents(phonemes: list[Phoneme], frames: int, rng: np.random.Generator) -> np.ndarray:
  """[T, 50] brows that go up a little with some stressed syllables."""
  time = (np.arange(frames) + 0.5) / schema.FRAME_RATE
  out = np.zeros((frames, len(schema.EXPRESSION_NAMES)))
  for phoneme in phonemes:
    if 'ˈ' in phoneme.symbol and rng.random() < 0.35:
      lift = rng.uniform(0.04, 0.12) * bump(time, phoneme.start + 0.05, 0.16, 0.30)
      out[:, columns('browInnerUp') + columns('browOuterUp')] += lift[:, None]
  return out


def _weaken(weights: np.ndarray, names: tuple[str, ...], by: np.ndarray) -> None:
  for name in names:
    weights[:, columns(name)] *= (1 - by)[:, None]
