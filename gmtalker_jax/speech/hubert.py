"""HuBERT, the paper's features; its weights are published and in no package (io/hubert.py)."""

import functools
import hashlib
import math
from typing import Any

import jax
import numpy as np

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import hubert as weights
from gmtalker_jax.models.hubert import HOP, REACH, STRIDES, Moments
from gmtalker_jax.speech.encoder import ROWS_AT_ONCE, Encoder, digest, row_count

BUCKET = 256  # rows; lengths are rounded up to it: few shapes, few compilations
_EPSILON = 1e-7  # of the clip's variance


def encode(
  wave: np.ndarray, module: Any, params: Any, rows_at_once: int = ROWS_AT_ONCE
) -> np.ndarray:
  """[S] -> [2T, W] with row r at the samples 320 r .. 320 r + 399.

  The sound is brought to mean 0 and variance 1, then padded with zeros. Convolutions are run
  `rows_at_once` at a time; the result is that of the whole.
  """
  rows = row_count(len(wave))
  level = wave.mean(dtype=np.float64), wave.var(dtype=np.float64)
  wave = ((wave - level[0]) / np.sqrt(level[1] + _EPSILON)).astype(np.float32)
  # Long enough for the last piece to be as long as the others: pieces share one compilation.
  rows_at_once = min(rows_at_once, -(-rows // BUCKET) * BUCKET)
  pieces = -(-rows // rows_at_once)
  length = (rows_at_once - 1) * HOP + REACH
  padded = np.zeros((pieces - 1) * rows_at_once * HOP + length, np.float32)
  padded[: len(wave)] = wave
  parts = [padded[i * rows_at_once * HOP :][:length] for i in range(pieces)]
  first, convolve, transform = _compiled(module)
  moments = None if module.large else _moments(first, params, parts, rows, rows_at_once)
  if moments is None:  # not used
    moments = Moments(np.zeros(module.channels), np.ones(module.channels))
  features = [np.asarray(convolve(params, part[None], moments)[0]) for part in parts]
  features = np.concatenate(features)[:rows]
  padding = -rows % BUCKET
  features = np.pad(features, ((0, padding), (0, 0)))
  mask = (np.arange(rows + padding) < rows).astype(np.float32)
  return np.asarray(transform(params, features[None], mask[None])[0, :rows])


def _moments(first, params, parts, rows: int, rows_at_once: int) -> Moments:
  """Of the first convolution over exactly the samples that the clip's rows see."""
  samples = (rows - 1) * HOP + REACH
  places = (samples - 10) // STRIDES[0] + 1  # of the first convolution, in the whole clip
  step = rows_at_once * HOP // STRIDES[0]
  count, mean, spread = 0, 0.0, 0.0
  for i, part in enumerate(parts):
    x = np.asarray(first(params, part[None])[0], np.float64)
    last = i == len(parts) - 1
    x = x[: places - i * step] if last else x[:step]  # no place twice
    new, share = x.mean(0), len(x) / (count + len(x))
    gap = new - mean
    spread = (1 - share) * spread + share * x.var(0) + share * (1 - share) * gap**2
    mean, count = mean + share * gap, count + len(x)
  return Moments(np.asarray(mean, np.float32), np.asarray(spread, np.float32))


@functools.cache
def _compiled(module):
  def run(method: str):
    return jax.jit(lambda params, *inputs: module.apply({'params': params}, *inputs, method=method))

  return run('first'), run('convolve'), run('transform')


@functools.cache
def _loaded(name: str, width: int) -> tuple[Any, Any]:
  path = weights.find(name)
  module, params = weights.load(path)
  if module.width != width:
    raise InputError(f'got {path} of {module.width} values a row, expected {width} of {name}')
  return module, jax.device_put(params)


@functools.cache
def _digest(name: str) -> str:
  with weights.find(name).open('rb') as file:
    found = hashlib.file_digest(file, 'sha256').hexdigest()
  return digest('mean 0, variance 1, last hidden state', HOP, REACH, found)


def _encoder(name: str, width: int) -> Encoder:
  return Encoder(
    name,
    width,
    math.inf,
    lambda: _digest(name),
    lambda wave: encode(wave, *_loaded(name, width)),
  )


HUBERT_BASE, HUBERT_LARGE = _encoder('hubert-base', 768), _encoder('hubert-large', 1024)
