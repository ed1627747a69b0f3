"""Recorded clips painted anew from their own coefficients: what the painter alone can do."""

from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import numpy as np

from gmtalker_jax.data import emotion as emotions
from gmtalker_jax.data import source
from gmtalker_jax.inference import latents, speak
from gmtalker_jax.inference.talker import Talker
from gmtalker_jax.types import Coefficients


def portrait(talker: Talker, record: Mapping[str, Any]) -> Iterator[np.ndarray]:
  """T frames uint8 [H, W, 3] of a clip, with its own latent and its label (or neutral)."""
  frames = len(record['motion'])
  encode = latents.Encoder(talker.expression, talker.speech_encoder)
  sway = record['sway'] if record['sway'].any() else None  # nobody watched: they follow the head
  coefficients = Coefficients(record['expression'], record['motion'], sway)
  emotion = np.tile(emotions.to_measure(record), (frames, 1))
  latent = np.tile(encode(record), (frames, 1))
  return speak.paint(talker, coefficients, emotion, latent)


def beside(talker: Talker, record: Mapping[str, Any]) -> Iterator[np.ndarray]:
  """T frames uint8 [H, 2 W, 3]: the photograph, and the portrait. The record holds its frames."""
  for photograph, painted in zip(record['frames'], portrait(talker, record), strict=True):
    height, width = painted.shape[:2]
    truth = cv2.resize(source.decode(photograph), (width, height), interpolation=cv2.INTER_AREA)
    yield np.concatenate([truth, painted], 1)
