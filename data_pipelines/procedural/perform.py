"""One invented person says one sentence with one feeling: sound, face and head, all known."""

from typing import NamedTuple

import numpy as np

from gmtalker_jax.core.errors import InputError, check_choice
from gmtalker_jax.data import schema

from . import emotions, motion, visemes, voice
from .people import Person


class Performance(NamedTuple):
  """What was said and how it looked. T = ceil(S / 640) video frames."""

  audio: np.ndarray  # [S] float32 at 16 kHz
  expression: np.ndarray  # [T, 50] float32 ARKit weights, 0..1
  motion: np.ndarray  # [T, 12] float32, see schema.MOTION_NAMES
  phonemes: list[voice.Phoneme]  # (start, end) in seconds and IPA


def perform(person: Person, text: str, emotion: str, level: int, seed: int) -> Performance:
  """Performs a sentence.

  Args:
    person: who, from `people`.
    text: one or two short sentences.
    emotion: one of `schema.EMOTIONS`.
    level: 1..3.
    seed: of everything that is chance; the same arguments give the same performance.

  Returns:
    The performance; frame t is the moment (t + 0.5) / 25 s.

  Raises:
    InputError: an unknown emotion or level, or a text that cannot be spoken.
  """
  check_choice('emotion', emotion, schema.EMOTIONS)
  if level not in range(1, schema.LEVELS + 1):
    raise InputError(f'got level {level}, expected 1..{schema.LEVELS}')
  rng = np.random.default_rng([person.seed, seed, schema.EMOTIONS.index(emotion), level])
  how = voice.prosody(emotion, level)
  silence = tuple(rng.uniform(0.2, 0.5, 2))
  speech = voice.speak(text, person.voice, how, silence)
  frames = schema.frame_count(len(speech.audio))
  track = visemes.articulate(speech.phonemes, frames, person.style.articulation, how.loudness)
  feeling = emotions.express(emotion, level, person.style, speech.phonemes, frames, rng)
  expression = emotions.combine(track, feeling)
  moves = motion.move(emotion, level, person.style, speech.phonemes, frames, rng)
  return Performance(_room(speech.audio, rng), expression, moves, speech.phonemes)


def _room(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Adds the faint noise of a room and a microphone, -76 to -60 dBFS: no recording is silent."""
  level = 10 ** (rng.uniform(-76, -60) / 20)
  white = rng.standard_normal(len(audio) + 1).astype(np.float32)
  return audio + level * 0.7 * (white[1:] + white[:-1])
