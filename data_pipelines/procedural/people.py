"""Invented people: a voice, a face and a way of moving that belong together."""

from typing import NamedTuple

import numpy as np

from gmtalker_jax.core.errors import InputError

from .voice import Voice


class Style(NamedTuple):
  """How a person moves. Factors are 1 for the average person."""

  expressivity: float = 1.0  # strength of the emotions, 0.9..1.1
  articulation: float = 1.0  # strength of the mouth shapes of speech
  asymmetry: float = 0.0  # + stronger on the subject's left side
  contempt_side: str = 'Left'
  motion_scale: float = 1.0  # 1 = seated before a camera (MEAD), 2.5 = on a stage (LRS3)
  blink_rate: float = 17.0  # per minute
  gaze_scale: float = 1.0
  posture: tuple[float, float, float] = (0.0, 0.0, 0.0)  # rad, habitual head rotation


class Person(NamedTuple):
  """One of the invented people. 'M...' has a man's voice and face, 'W...' a woman's."""

  name: str
  seed: int
  voice: Voice
  style: Style
  identity: np.ndarray  # [80] float32, coefficients of the built-in head


_WOMEN = ('en-us+f3', 'en-us+f2', 'en-gb-x-rp+f4', 'en-us+f5', 'en-gb-scotland+f2', 'en-us+f1')
_MEN = ('en-us+m3', 'en-us+m7', 'en-gb-x-rp+m2', 'en-us+m1', 'en-gb-scotland+m4', 'en-us')
_IDENTITY = 80
# Half of the difference between the mean man and the mean woman of the data the head was made
# from, in its first components, which hold most of it.
_MASCULINE = (-0.54, -1.19, 0.02, -0.03, 0.36, 0.28, -0.12, 0.0, -0.21, 0.34, -0.22, -0.03)
_SPREAD = 0.4  # of a standard deviation: faces that differ and still look like anybody


def people(count: int, seed: int = 0) -> list[Person]:
  """Makes `count` people, women and men in turn; the first one is the star of the demo.

  The same (index, seed) is the same person, whatever the count.
  """
  if count < 1:
    raise InputError(f'got {count} people, expected at least 1')
  return [_person(index, seed) for index in range(count)]


def _person(index: int, seed: int) -> Person:
  rng = np.random.default_rng([seed, index, 0x9E0])
  woman = index % 2 == 0
  voices = _WOMEN if woman else _MEN
  voice = Voice(
    voices[(index // 2) % len(voices)],
    pitch=50 + rng.uniform(-8, 8),
    range=55 + rng.uniform(-10, 15),
    rate=152 + rng.uniform(-10, 10),
  )
  style = Style(
    expressivity=rng.uniform(0.94, 1.10),
    articulation=rng.uniform(0.9, 1.1),
    asymmetry=rng.uniform(-0.12, 0.12),
    contempt_side=('Left', 'Right')[int(rng.integers(2))],
    blink_rate=rng.uniform(14, 21),
    gaze_scale=rng.uniform(0.8, 1.2),
    posture=tuple(rng.normal(0, (0.025, 0.025, 0.02))),
  )
  name = f'{"W" if woman else "M"}{index + 1:03d}'
  return Person(name, int(rng.integers(2**31)), voice, style, _identity(rng, woman))


def _identity(rng: np.random.Generator, woman: bool) -> np.ndarray:
  identity = np.clip(rng.normal(0, _SPREAD, _IDENTITY), -1.5, 1.5)
  masculine = np.asarray(_MASCULINE)
  towards = -1.0 if woman else 1.0
  # Without what chance put along this direction, every face agrees with its voice.
  head = identity[: len(masculine)]
  head -= (head @ masculine) / (masculine @ masculine) * masculine
  head += towards * masculine
  return identity.astype(np.float32)
