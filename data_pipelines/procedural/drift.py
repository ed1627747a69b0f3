"""Smooth chance: the slow, aimless part of how living things move."""

import numpy as np
from scipy import signal

from gmtalker_jax.data import schema


def drift(rng: np.random.Generator, frames: int, channels: int, seconds: float) -> np.ndarray:
  """[T, channels] stationary Gaussian noise of variance 1 that forgets itself in `seconds`.

  White noise through two equal one-pole filters (an Ornstein-Uhlenbeck process, smoothed once
  more, so that it has a velocity), sampled at the frame rate.
  """
  pole = np.exp(-1 / (seconds * schema.FRAME_RATE))
  warm_up = int(8 * seconds * schema.FRAME_RATE) + 1
  noise = rng.standard_normal((warm_up + frames, channels))
  variance = (1 + pole**2) / (1 - pole**2) ** 3  # of the filtered noise
  smooth = signal.lfilter([1.0], np.poly([pole, pole]), noise, axis=0) / np.sqrt(variance)
  return smooth[warm_up:]


def bump(time: np.ndarray, peak: float, rise: float, fall: float) -> np.ndarray:
  """A smooth single movement: 0, up to 1 at `peak` in `rise` seconds, back in `fall` seconds."""
  phase = np.where(time < peak, (time - peak) / rise, (time - peak) / fall)
  return 0.5 + 0.5 * np.cos(np.pi * np.clip(phase, -1, 1))
