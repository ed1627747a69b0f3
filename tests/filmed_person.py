"""A film of the built-in head in a shirt, which sways: what `gmtalker person` may be given."""

import cv2
import numpy as np

from gmtalker_jax.data import schema
from gmtalker_jax.face import render
from gmtalker_jax.face.bust import Bust
from gmtalker_jax.face.person import Person
from gmtalker_jax.io.heads import load_head
from gmtalker_jax.types import Coefficients

SPAN = 45  # frames, in which all moves alike again and again
SIZE = 160


def frames(identity: np.ndarray) -> np.ndarray:
  """One span, uint8 [SPAN, SIZE, SIZE, 3], of a person [I] before a grey wall."""
  expression, motion = np.zeros((SPAN, 50), np.float32), np.zeros((SPAN, 12), np.float32)
  phase = np.arange(SPAN) * 2 * np.pi / SPAN
  expression[:, schema.EXPRESSION_NAMES.index('jawOpen')] = 0.3 - 0.3 * np.cos(5 * phase)
  motion[:, 1] = 0.15 * np.sin(phase)
  sway = np.zeros((SPAN, len(schema.SWAY_NAMES)), np.float32)
  sway[:, 2], sway[:, 5] = 0.026 * np.sin(phase), 0.026 * np.sin(2 * phase)  # right, up
  person = Person.plain(identity).replace(bust=_shirt())
  made = Coefficients(expression, motion, sway)
  shown = render.render_frames(load_head(), person, made, SIZE, SPAN)
  return np.where(shown.max(-1, keepdims=True) > 0, shown, 110).astype(np.uint8)


def sound(seconds: float) -> np.ndarray:
  """Something like a voice [S] at 16 kHz."""
  t = np.arange(round(seconds * schema.SAMPLE_RATE)) / schema.SAMPLE_RATE
  return (0.3 * np.sin(2 * np.pi * 140 * t) * np.sin(9 * t) ** 2).astype(np.float32)


def _shirt() -> Bust:
  noise = np.random.default_rng(0).uniform(0, 1, (SIZE, SIZE, 3)).astype(np.float32)
  cloth = np.clip((cv2.GaussianBlur(noise, (0, 0), 3) - 0.5) * 4 + 0.5, 0.02, 1)
  rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE
  cover = rows > 0.8 + 0.6 * (columns - 0.5) ** 2
  return Bust(np.concatenate([cloth, cover[..., None]], -1), np.zeros((7, 8), np.float32))
