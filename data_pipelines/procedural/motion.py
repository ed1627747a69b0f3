"""Head, eyelids and eyes: partly with the prosody, mostly by chance, which is why it is generated.

Blinks: 15-20 a minute while speaking, log-normal intervals, closing faster than opening
(Bentivoglio et al. 1997; VanderWerf et al. 2003). Saccades: 21 ms + 2.2 ms a degree (Carpenter
1988). The eyes turn against the head (vestibulo-ocular reflex), so a look at the camera stays one.
"""

import itertools
from typing import NamedTuple

import numpy as np

from gmtalker_jax.data import schema

from .drift import bump, drift
from .people import Style
from .voice import Phoneme


class Bearing(NamedTuple):
  """How a feeling holds the head at level 3: rad, head widths, and factors of 1."""

  rotation: tuple[float, float, float] = (0.0, 0.0, 0.0)  # pitch (+ chin down), yaw, roll
  lean: float = 0.0  # + towards the camera
  liveliness: float = 1.0
  blinking: float = 1.0
  look: tuple[float, float] = (0.0, 0.0)  # where the gaze is drawn: pitch (+ down), yaw


BEARINGS = {
  'angry': Bearing((0.07, 0.0, 0.0), 0.05, 1.30, 0.8),
  'contempt': Bearing((-0.09, 0.03, 0.06), -0.01, 0.85, 0.9),
  'disgusted': Bearing((-0.03, 0.09, 0.03), -0.04, 1.0, 1.1),
  'fear': Bearing((-0.02, 0.04, 0.0), -0.05, 1.15, 1.3),
  'happy': Bearing((-0.03, 0.0, 0.04), 0.02, 1.25, 1.0),
  'neutral': Bearing(),
  'sad': Bearing((0.11, 0.0, 0.04), -0.02, 0.70, 1.0, (0.10, 0.0)),
  'surprised': Bearing((-0.07, 0.0, 0.0), -0.03, 1.10, 0.9),
}

_SWAY = (0.030, 0.045, 0.025)  # rad, standard deviation of slow pitch, yaw and roll
_SHIFT = (0.018, 0.012, 0.020)  # head widths
_VERGENCE = 0.015  # rad that each eye turns in
_EYE_LIMIT = 0.45  # rad


def move(
  emotion: str,
  level: int,
  style: Style,
  phonemes: list[Phoneme],
  frames: int,
  rng: np.random.Generator,
) -> np.ndarray:
  """Moves head, lids and eyes.

  Args:
    emotion: one of `schema.EMOTIONS`; it sets the base posture.
    level: 1..3, strength of the posture.
    style: the person's range and habits; motion_scale 1 = MEAD, 2.5 = LRS3.
    phonemes: what is said; nods come with stressed syllables, blinks at the ends of phrases.
    frames: T.
    rng: of everything that the sound does not decide.

  Returns:
    [T, 12] float32 in the order of `schema.MOTION_NAMES`.
  """
  bearing, strength = BEARINGS[emotion], level / schema.LEVELS * style.expressivity
  time = (np.arange(frames) + 0.5) / schema.FRAME_RATE
  scale = style.motion_scale * (1 + strength * (bearing.liveliness - 1))
  side = 1.0 if style.contempt_side == 'Left' else -1.0  # turns and tilts have a favourite side
  posture = np.array(bearing.rotation) * strength * (1, side, side) + np.array(style.posture)
  rotation = posture + scale * (_sway(frames, rng) + _nods(phonemes, time, rng))
  gaze = _gaze(rotation, np.array(bearing.look) * strength, style, time, rng)
  out = np.zeros((frames, len(schema.MOTION_NAMES)))
  out[:, schema.ROTATION] = rotation
  out[:, schema.TRANSLATION] = _translation(rotation, strength * bearing.lean, scale, rng)
  out[:, schema.BLINK] = _lids(phonemes, time, gaze, style.blink_rate * bearing.blinking, rng)
  out[:, schema.GAZE] = gaze
  return out.astype(np.float32)


def _sway(frames: int, rng: np.random.Generator) -> np.ndarray:
  """[T, 3] slow turns, and a livelier part that goes on all the time one speaks."""
  slow, lively = drift(rng, frames, 3, 0.9), drift(rng, frames, 3, 0.16)
  return (slow + 0.28 * lively) * _SWAY


def _nods(phonemes: list[Phoneme], time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """[T, 3] quick movements with stressed syllables: down as a rule, some with a tilt."""
  out = np.zeros((len(time), 3))
  for phoneme in phonemes:
    if 'ˈ' not in phoneme.symbol or rng.random() > 0.75:
      continue
    stroke = bump(time, phoneme.start + 0.08, rng.uniform(0.14, 0.22), rng.uniform(0.22, 0.36))
    size = rng.uniform(0.025, 0.07) * (1 if rng.random() < 0.85 else -0.6)
    out += stroke[:, None] * (size, rng.normal(0, 0.018), rng.normal(0, 0.014))
  return out


def _translation(rotation, lean: float, scale: float, rng: np.random.Generator) -> np.ndarray:
  """[T, 3] the neck carries the head along with its turns; the trunk sways."""
  sway = drift(rng, len(rotation), 3, 1.2) * _SHIFT * scale
  pitch, _, roll = rotation.T
  carried = np.stack([-0.18 * roll, -0.10 * pitch, 0.15 * pitch], 1)
  return sway + carried + (0.0, 0.0, lean)


def _lids(phonemes, time, gaze: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
  """[T, 2] blinks, and lids that follow the eyes down."""
  lids = np.zeros((len(time), 2))
  for peak in blink_times(phonemes, time[-1] + 0.1, rate, rng):
    closing, opening = rng.uniform(0.08, 0.11), rng.uniform(0.16, 0.24)
    held = np.clip(time, peak - 0.02, peak + 0.02)  # shut for 40 ms: one frame at least
    shut = rng.uniform(0.92, 1.0) * bump(time - (held - peak), peak, closing, opening)
    lids = np.maximum(lids, shut[:, None] * (1.0, rng.uniform(0.96, 1.0)))
  following = 0.6 * np.maximum(0, gaze[:, [0, 2]])
  return np.clip(lids + following * (1 - lids), 0, 1)


def blink_times(
  phonemes: list[Phoneme], seconds: float, rate: float, rng: np.random.Generator
) -> list[float]:
  """Moments of the blinks within a clip, `rate` a minute on average.

  Intervals are log-normal. A blink that falls shortly before the end of a phrase waits for it.
  """
  mean, sigma, shortest = 60 / rate, 0.6, 0.45
  ends = [a.end for a, b in itertools.pairwise(phonemes) if b.start - a.end > 0.06]
  ends += [phonemes[-1].end] if phonemes else []
  clock = -rng.uniform(8, 16) * mean  # long before the clip, so that its start is nothing special
  times = []
  while clock < seconds:
    draw = rng.lognormal(np.log(mean - shortest) - sigma**2 / 2, sigma)
    clock += shortest + draw
    phrase_end = next((e + 0.05 for e in ends if 0 <= e + 0.05 - clock < 0.45), clock)
    if -0.3 < clock < seconds:
      times.append(float(phrase_end))
  return times


def _gaze(rotation, drawn: np.ndarray, style: Style, time, rng: np.random.Generator) -> np.ndarray:
  """[T, 4] fixations in the world, joined by saccades, less the turn of the head."""
  target = np.zeros((len(time), 2))
  spot, clock = drawn + 0.0, -rng.uniform(0, 1.5)
  target[:] = spot
  while True:
    at_camera = np.allclose(spot, drawn)
    clock += rng.lognormal(np.log(1.1 if at_camera else 0.55), 0.5)
    if clock > time[-1]:
      break
    away = rng.normal(0, (0.055, 0.12)) * style.gaze_scale
    new = drawn + (np.clip(away, (-0.15, -0.25), (0.15, 0.25)) if at_camera else 0.0)
    duration = 0.021 + 0.0022 * np.degrees(np.abs(new - spot).max())
    step = np.clip((time - clock) / duration + 0.5, 0, 1)[:, None]
    target += step * (new - spot)
    spot = new
  tremor = 0.004 * drift(rng, len(time), 2, 0.12)
  eyes = np.clip(target + tremor - rotation[:, :2], -_EYE_LIMIT, _EYE_LIMIT)
  pitch, yaw = eyes.T
  return np.stack([pitch, yaw - _VERGENCE, pitch, yaw + _VERGENCE], 1)
