"""Decoders, flow and painter as ONNX, through their twins in PyTorch; run beside them at once.

onnx/expression_decoder.onnx  frames, context, speech, mask -> frames      T frames, 2T rows
onnx/motion_decoder.onnx      the same
onnx/motion_flow.onnx         z, speech, mask -> latents, log_det
onnx/portrait.onnx            rendering, emotion, latent, z_style -> picture    any batch

A decoder makes frame t from the frames before it: give it what there is, padded to T, and take
frame t of what comes out.
"""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from gmtalker_jax.export.gmtalker_torch.talker import Talker as Twin
from gmtalker_jax.export.parity import LIMIT, Layer, ParityError

FOLDER = 'onnx'
_FRAMES = 12  # of the example; a multiple of every stride of the shipped configs


class Graph(NamedTuple):
  """What becomes one file."""

  name: str
  network: torch.nn.Module
  inputs: dict[str, torch.Tensor]
  outputs: tuple[str, ...]
  shapes: dict[str, dict[int, Any]]  # per input, axes of any length


def write(place: Path, twin: Twin) -> list[Layer]:
  """Writes the files to `place`/onnx and runs each beside its twin, at another length.

  Raises:
    ParityError: a file computes something else, or cannot be made; it is named.
  """
  (place / FOLDER).mkdir()
  return [write_one(place / FOLDER / f'{graph.name}.onnx', graph) for graph in graphs(twin)]


def graphs(twin: Twin, frames: int = _FRAMES, batch: int = 2) -> list[Graph]:
  """What becomes a file, with random inputs of `frames` frames, and of `batch` pictures."""
  numbers = np.random.default_rng(0)

  def normal(*shape: int) -> torch.Tensor:
    return torch.from_numpy(numbers.normal(size=shape).astype(np.float32))

  time, many = torch.export.Dim('frames', min=2), torch.export.Dim('batch', min=1)
  mask, found = torch.ones(1, frames), []
  for name in ('expression', 'motion'):
    decoder = getattr(twin, name).decoder
    inputs = {
      'frames': normal(1, frames, decoder.frame_dim),
      'context': normal(1, frames, decoder.width),
      'speech': normal(1, 2 * frames, decoder.speech.project.in_features),
      'mask': mask,
    }
    shapes = {key: {1: 2 * time if key == 'speech' else time} for key in inputs}
    found.append(Graph(f'{name}_decoder', decoder, inputs, ('made',), shapes))
  flow = twin.motion
  latents = flow.latent_mask(mask).shape[1]
  inputs = {
    'z': normal(1, latents, flow.latent_dim),
    'speech': normal(1, 2 * frames, flow.decoder.speech.project.in_features),
    'mask': mask,
  }
  # Frames are whole latents here: what is padded is marked in the mask.
  each = frames // latents if flow.layout == 'sequence' else 0
  length = torch.export.Dim('latents', min=2)
  shapes = {'z': {1: length}, 'speech': {1: 2 * each * length}, 'mask': {1: each * length}}
  if not each:
    shapes = {'z': {}, 'speech': {1: 2 * time}, 'mask': {1: time}}
  found.append(Graph('motion_flow', _Flow(flow), inputs, ('latents', 'log_det'), shapes))
  painter, size = twin.portrait, twin.portrait.input_size
  inputs = {
    'rendering': normal(batch, 3, size, size),
    'emotion': torch.full((batch, len(twin.emotions)), 1 / len(twin.emotions)),
    'latent': normal(batch, twin.expression.latent_dim),
    'z_style': normal(batch, painter.style_dim),
  }
  return [*found, Graph('portrait', painter, inputs, ('picture',), {k: {0: many} for k in inputs})]


class _Flow(torch.nn.Module):
  """`push` as a network's only function."""

  def __init__(self, motion: Any):
    super().__init__()
    self.motion = motion

  def forward(self, z, speech, mask):
    """z [B, L, C], speech [B, 2T, D], mask [B, T] -> (latents [B, L, C], log-determinant [B])."""
    return self.motion.push(z, speech, mask)


def write_one(path: Path, graph: Graph) -> Layer:
  """Writes one file and compares it. Raises ParityError where it cannot be made."""
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')
      logging.getLogger('torch.onnx').setLevel(logging.ERROR)
      made = torch.onnx.export(
        graph.network,
        tuple(graph.inputs.values()),
        input_names=list(graph.inputs),
        output_names=list(graph.outputs),
        dynamic_shapes=tuple(graph.shapes.values()),
        dynamo=True,
        verbose=False,
      )
    assert made is not None, 'dynamo=True returns a program'
    made.save(path)
  except Exception as error:  # the exporter raises anything
    reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
    raise ParityError(f'{path.name} cannot be made: {reason}') from None
  return compare(path, graph)


def compare(path: Path, graph: Graph) -> Layer:
  """Runs a file beside its twin, as a layer of the report."""
  import onnxruntime

  session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
  wanted = {one.name for one in session.get_inputs()}
  made = session.run(None, {k: v.numpy() for k, v in graph.inputs.items() if k in wanted})
  with torch.inference_mode():
    expected = graph.network(*graph.inputs.values())
  return layer(f'onnx.{graph.name}', made, expected)


def layer(name: str, made: Sequence[Any], expected: Any) -> Layer:
  """The comparison of one file's outputs with those of its twin."""
  expected = expected if isinstance(expected, tuple) else (expected,)
  pairs = [(np.asarray(a), b.numpy()) for a, b in zip(made, expected, strict=True)]
  gaps = [float(np.abs(a - b).max()) for a, b in pairs]
  shares = [
    gap / max(float(np.abs(b).max()), 1e-6) for gap, (_, b) in zip(gaps, pairs, strict=True)
  ]
  return Layer(name, list(pairs[0][1].shape), max(gaps), max(shares), LIMIT)
