"""The eight MEAD emotions as ARKit weights, from the action units of the FACS literature.

Action units per emotion after the EMFACS tables (Ekman & Friesen 1983; Matsumoto & Ekman 2008):
happy 6+12(+25), sad 1+4+15+17, angry 4+5+7+23+24, fear 1+2+4+5+20+25, surprised 1+2+5+26,
disgusted 9+10+15+17, contempt 12+14 on one side.
"""

import numpy as np

from data_pipelines.procedural.people import Style
from data_pipelines.procedural.visemes import Track, columns
from data_pipelines.procedural.voice import Phoneme
from gmtalker_jax.data import schema

# At level 3 of the average person. A name without Left/Right stands for both sides.
SHAPES = {
  'neutral': {},
  'angry': {
    'browDown': 0.90, 'eyeSquint': 0.45, 'eyeWide': 0.25, 'noseSneer': 0.30, 'mouthPress': 0.35,
    'mouthFrown': 0.30, 'mouthRollUpper': 0.12, 'jawForward': 0.25, 'mouthShrugLower': 0.12,
    'mouthUpperUp': 0.08, 'mouthLowerDown': 0.10,
  },
  'contempt': {
    'mouthSmile': 0.62, 'mouthDimple': 0.60, 'cheekSquint': 0.25, 'browDown': 0.12,
    'eyeSquint': 0.22, 'browOuterUp': 0.25, 'mouthPress': 0.18, 'mouthUpperUp': 0.08,
  },
  'disgusted': {
    'noseSneer': 0.88, 'mouthUpperUp': 0.42, 'browDown': 0.50, 'cheekSquint': 0.40,
    'eyeSquint': 0.42, 'mouthFrown': 0.40, 'mouthShrugLower': 0.25, 'mouthLowerDown': 0.10,
  },
  'fear': {
    'browInnerUp': 0.85, 'browOuterUp': 0.35, 'browDown': 0.22, 'eyeWide': 0.80,
    'mouthStretch': 0.58, 'mouthLowerDown': 0.14, 'mouthFrown': 0.10, 'jawOpen': 0.06,
  },
  'happy': {
    'mouthSmile': 0.78, 'cheekSquint': 0.70, 'eyeSquint': 0.35, 'mouthDimple': 0.18,
    'mouthUpperUp': 0.22, 'mouthLowerDown': 0.10, 'browInnerUp': 0.06, 'jawOpen': 0.03,
  },
  'sad': {
    'browInnerUp': 0.85, 'browDown': 0.28, 'mouthFrown': 0.75, 'mouthShrugLower': 0.38,
    'eyeSquint': 0.15, 'mouthPucker': 0.08, 'mouthRollLower': 0.10,
  },
  'surprised': {
    'browInnerUp': 0.85, 'browOuterUp': 0.88, 'eyeWide': 0.78, 'jawOpen': 0.16,
    'mouthFunnel': 0.14, 'mouthUpperUp': 0.06,
  },
}  # fmt: skip


def express(
  emotion: str,
  level: int,
  style: Style,
  phonemes: list[Phoneme],
  frames: int,
  rng: np.random.Generator,
) -> np.ndarray:
  """[T, 50] the feeling alone, as if nothing were said. `level` 0..3 grades it by thirds."""
  shape = np.zeros(len(schema.EXPRESSION_NAMES))
  for name, value in SHAPES[emotion].items():
    shape[columns(name)] = value
  if emotion == 'contempt':
    shape[[n.endswith(_other(style.contempt_side)) for n in schema.EXPRESSION_NAMES]] *= 0.1
  strength = level / schema.LEVELS * style.expressivity
  return np.clip(np.broadcast_to(strength * shape, (frames, len(shape))), 0, 1)


def combine(track: Track, feeling: np.ndarray) -> np.ndarray:
  """[T, 50] float32: speech and feeling in one face; what closes the lips stays closed."""
  feeling = feeling.copy()
  opening = ('jawOpen', 'mouthUpperUp', 'mouthLowerDown', 'mouthFunnel', 'mouthShrugUpper')
  for name in opening:
    feeling[:, columns(name)] *= (1 - track.closure)[:, None]
  return np.clip(track.weights + feeling * (1 - track.weights), 0, 1).astype(np.float32)


def _other(side: str) -> str:
  return 'Right' if side == 'Left' else 'Left'
