"""The package as a library: load a talker, let it speak, save the talk.

    import gmtalker_jax as gm

    gm.load('builtin').speak('voice.wav', emotion='happy').save('talk.mp4')

`gmtalker speak` goes the same way.
"""

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gmtalker_jax import speech
from gmtalker_jax.core.errors import InputError, check_choice
from gmtalker_jax.data import schema
from gmtalker_jax.inference import likelihood, timeline
from gmtalker_jax.inference import speak as conductor
from gmtalker_jax.inference import talker as talkers
from gmtalker_jax.io import audio as sounds
from gmtalker_jax.io import files, video
from gmtalker_jax.models.expression import SAMPLING
from gmtalker_jax.types import Coefficients

FILM_RATE = 48_000  # samples per second of the sound in a video


class Sound(NamedTuple):
  """What is said, as the talker hears it and as the video carries it."""

  speech: np.ndarray  # [S] at 16 kHz
  track: np.ndarray  # [R] at `rate`
  rate: int


class Talk:
  """A talk that was thought out; its pictures are painted while they are read."""

  coefficients: Coefficients  # NumPy: expression [T, E], motion [T, M]
  emotion: np.ndarray  # [T, K]

  def __init__(
    self,
    coefficients: Coefficients,
    emotion: np.ndarray,
    paint: Callable[[], Iterator[np.ndarray]],
    sound: Sound,
  ):
    self.coefficients, self.emotion = coefficients, emotion
    self._paint, self._sound = paint, sound

  @property
  def frames(self) -> Iterator[np.ndarray]:
    """T times uint8 [H, W, 3] at 25 Hz; painted anew for everyone who asks."""
    return self._paint()

  def save(self, path: str | os.PathLike, frames: Iterable[np.ndarray] | None = None) -> None:
    """Writes an MP4 with the sound; it appears, or replaces an older one, when complete.

    Args:
      path: ends in .mp4.
      frames: pictures to write instead of `frames`, for example resized ones.

    Raises:
      InputError: another suffix, a folder that is not there, pictures that do not fit together.
    """
    frames = self.frames if frames is None else frames
    video.write(check_out(path), frames, self._sound.track, self._sound.rate)


class Talker:
  """Someone who can speak; `load` makes one."""

  def __init__(self, parts: talkers.Talker):
    self._parts = parts
    self._prepared = False

  def speak(
    self,
    audio: str | os.PathLike | np.ndarray | Sound,
    emotion: str = 'neutral',
    intensity: float = 1.0,
    seed: int = 0,
    *,
    temperature: float = 1.0,
    motion_scale: float = 1.0,
    sampling: str = 'interpolation',
  ) -> Talk:
    """Makes the talker say `audio`. The same arguments give the same talk.

    Args:
      audio: a sound or video file, or samples [S] at 16 kHz, full scale 1.
      emotion: 'happy', 'happy+sad' or a track '0:neutral 2:happy 4.5:angry@0.6' in seconds.
      intensity: 0..1, scales every emotion; 0 is neutral.
      seed: another one is another way to move the head, blink and look.
      temperature: of both latents, 0 = the most likely talk.
      motion_scale: 0 = a still head, 1 = as trained.
      sampling: how a blend of emotions is drawn from the mixture: 'interpolation' is a face between
        them, 'component' one of them, 'moment' their matched Gaussian.

    Raises:
      InputError: no sound in `audio`, an emotion that is not known, a number out of range.
    """
    check_choice('sampling', sampling, SAMPLING)
    sound = hear(audio)
    track = timeline.parse(emotion, intensity, schema.frame_count(len(sound.speech)))
    with ThreadPoolExecutor(1) as pool:
      if not self._prepared:  # the first frame comes sooner: encoders of speech leave Python free
        pool.submit(conductor.prepare, self._parts)  # what fails here fails again when painting
        self._prepared = True
      made = conductor.speak(
        self._parts, sound.speech, track, seed, temperature, motion_scale, sampling
      )
    paint = functools.partial(conductor.paint, self._parts, made.coefficients, track, made.latent)
    return Talk(made.coefficients, track, paint, sound)

  def emotion_of(
    self, audio: str | os.PathLike | np.ndarray | Sound, expression: np.ndarray
  ) -> np.ndarray:
    """Which emotion a recorded expression [T, E] is: weights [K], see inference.likelihood."""
    return likelihood.responsibilities(self._parts, expression, self._features(audio))

  def motion_log_likelihood(
    self, audio: str | os.PathLike | np.ndarray | Sound, motion: np.ndarray, samples: int = 64
  ) -> float:
    """A lower bound in nats of how likely a recorded motion [T, M] is, see inference.likelihood."""
    return likelihood.motion_log_likelihood(self._parts, motion, self._features(audio), samples)

  def _features(self, audio: str | os.PathLike | np.ndarray | Sound) -> np.ndarray:
    return speech.encode(hear(audio).speech, self._parts.speech_encoder)


def load(talker: str | os.PathLike = 'builtin') -> Talker:
  """Loads a talker that ships, or a directory that `gmtalker bundle` made.

  Raises:
    InputError: not a talker, damaged, or weights that do not fit the models it names.
  """
  return Talker(talkers.load(os.fspath(talker)))


def hear(audio: str | os.PathLike | np.ndarray | Sound) -> Sound:
  """Reads a sound once, for any number of talks.

  Raises:
    InputError: no file, no sound in it, or samples that are not finite mono.
  """
  if isinstance(audio, Sound):
    return audio
  if isinstance(audio, np.ndarray):
    return _checked(Sound(audio, audio, schema.SAMPLE_RATE), f'samples {list(audio.shape)}')
  return _checked(Sound(sounds.read(audio), sounds.read(audio, FILM_RATE), FILM_RATE), str(audio))


def check_out(path: str | os.PathLike) -> Path:
  """Raises InputError unless a video can be written to `path`; returns it."""
  out = Path(path)
  if out.suffix.lower() != '.mp4':
    raise InputError(f'got {str(out)!r}, expected a name that ends in .mp4')
  files.check_place(out)
  return out


def _checked(sound: Sound, name: str) -> Sound:
  speech = sound.speech
  if speech.ndim != 1 or not len(speech) or not np.isfinite(speech).all():
    raise InputError(f'got {name} without finite mono sound, expected some; is the file whole?')
  return sound
