"""A talker becomes a folder for PyTorch, and is not believed until every layer was compared."""

import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import traverse_util

from gmtalker_jax import speech
from gmtalker_jax.core import trees
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.export import card, folder, graphs, parity, rules, speech_networks
from gmtalker_jax.export.gmtalker_torch import check
from gmtalker_jax.export.gmtalker_torch.talker import Talker as Twin
from gmtalker_jax.export.parity import Layer, ParityError
from gmtalker_jax.face import render
from gmtalker_jax.inference import builtin, bundling, speak, timeline
from gmtalker_jax.inference import talker as talkers
from gmtalker_jax.inference.talker import Talker
from gmtalker_jax.io import bundles, files
from gmtalker_jax.stages import STAGES

SEED, EMOTION, SECONDS = 3, '0:neutral 1:happy', 2.0  # of the golden talk
PAINTED = np.array([0, 24, 49])  # its frames of which pictures are kept
_HEARD = ('logmel', 'embedding')  # encoders that have a twin


def export(path: str, out: str, onnx: bool = False) -> list[Layer]:
  """Writes the talker at `path` (a directory, or 'builtin') to the folder `out`.

  Args:
    path: of the talker.
    out: the folder.
    onnx: whether decoders, flow and painter are written as ONNX too.

  Returns:
    every layer that was compared.

  Raises:
    InputError: no talker, one that does not say which weights it has, a speech encoder without a
      twin, or a place that cannot be written.
    ParityError: a layer computes something else in PyTorch. Nothing is left at `out` then.
  """
  folder.check_replaceable(Path(out))
  talker, weights = _load(path)
  with files.replacing_folder(out) as place:
    about = bundling.describe(talker)
    tensors = {name: state(getattr(talker, name).params) for name in STAGES}
    tensors |= {'head': head_tensors(talker), 'golden': golden(talker)}
    if 'embedding' in talker.speech_encoder:
      tensors['speech'] = speech_networks.embedding()
    folder.write(place, about, weights, tensors)
    layers = verify(place, talker, onnx)
    report = files.read_json(place / 'parity.json')
    (place / 'README.md').write_text(card.text(talker, weights, report))
  return layers


def check_folder(path: str, place: str) -> list[Layer]:
  """Compares an exported folder with its talker at `path` again, and writes its report anew.

  Raises:
    InputError: no talker or no exported folder there.
    ParityError: a layer computes something else; the report says so.
  """
  folder.read_config(Path(place))
  return verify(Path(place), _load(path)[0])


def verify(place: Path, talker: Talker, onnx: bool = False) -> list[Layer]:
  """Loads the folder as a stranger would, compares, and writes parity.json.

  Raises:
    ParityError: it cannot be loaded, or a layer or a step of the golden talk differs.
  """
  (place / 'parity.json').unlink(missing_ok=True)  # nothing is called verified meanwhile
  try:
    twin = Twin(place)
  except (ValueError, RuntimeError, KeyError, OSError) as error:
    raise ParityError(' '.join(f'the folder does not load: {error}'.split())) from None
  _check_description(twin.config['talker'], talker)
  layers = []
  for name in STAGES:
    part = getattr(talker, name)
    module = float32(part.module)
    inputs = parity.inputs_of(name, module)
    layers += parity.compare(name, module, part.params, getattr(twin, name), inputs)
  if onnx:
    layers += graphs.write(place, twin)
  steps = check.golden(twin, str(place / 'golden.safetensors'))
  failed = next((one for one in (*layers, *steps) if not one.passed), None)
  versions = {name: importlib.metadata.version(name) for name in ('torch', 'jax', 'gmtalker_jax')}
  report = {
    'verified': failed is None,
    'layers': [layer._asdict() for layer in layers],
    'golden': [step._asdict() for step in steps],
    'sha256': twin.config['sha256'],
    'versions': versions,
  }
  (place / 'parity.json').write_text(json.dumps(report, indent=1) + '\n')
  if failed:
    raise ParityError(_blame(failed))
  return layers


def state(params: Mapping[str, Any]) -> rules.Arrays:
  """The weights of a linen network as a state dictionary."""
  flat = traverse_util.flatten_dict(dict(params), sep='/')
  return rules.to_torch({path: np.asarray(value) for path, value in flat.items()})


def float32(module: Any) -> Any:
  """The module without bfloat16: its weights are float32 anyway, and so are those of the twin."""
  return module.clone(dtype='float32') if hasattr(module, 'dtype') else module


def head_tensors(talker: Talker) -> rules.Arrays:
  """The head of the talker's person, as the twin renders it."""
  head, person = render.personal(talker.head, talker.person), talker.person
  tensors = {
    name: getattr(head, name)
    for name in ('mean', 'expression', 'albedo', 'eye_centre', 'uv', 'skin')
  }
  tensors |= {'light': np.asarray(person.light).reshape(9, -1)}
  known = {'texture': person.texture, 'eyes': person.eyes, 'iris': person.iris}
  tensors |= {name: value for name, value in known.items() if value is not None}
  if person.bust is not None:
    tensors |= {'bust': person.bust.picture, 'bust_follows': person.bust.follows}
  indices = {'triangles': head.triangles, 'eye_vertices': head.eye_vertices}
  return {name: np.array(value, np.float32) for name, value in tensors.items()} | {
    name: np.array(value, np.int64) for name, value in indices.items()
  }


def golden(talker: Talker) -> rules.Arrays:
  """A sound, and what the talker makes of it at every step."""
  talker = talker._replace(
    portrait=talker.portrait._replace(module=float32(talker.portrait.module))
  )
  sound = hum(SECONDS)
  emotion = timeline.parse(EMOTION, 1.0, schema.frame_count(len(sound)))
  talk = speak.speak(talker, sound, emotion, SEED)
  chosen = jax.tree.map(lambda x: np.asarray(x)[PAINTED], talk.coefficients)
  size = talker.portrait.module.input_size
  one = speak.batch_size()  # what is compiled for that is what `gmtalker speak` has compiled
  rendering = render.render_frames(talker.head, talker.person, chosen, size, one)
  frames = np.stack(list(speak.paint(talker, chosen, emotion[PAINTED], talk.latent[PAINTED])))
  return {
    'sound': sound,
    'emotion': emotion,
    'seed': np.array(SEED),
    'painted': PAINTED,
    'features': speech.encode(sound, talker.speech_encoder),
    'expression': np.asarray(talk.coefficients.expression, np.float32),
    'motion': np.asarray(talk.coefficients.motion, np.float32),
    'latent': np.asarray(talk.latent, np.float32),
    'rendering': rendering,
    'frames': frames,
  }


def hum(seconds: float) -> np.ndarray:
  """Something like a voice [S] at 16 kHz: harmonics that glide, in syllables."""
  time = np.arange(round(seconds * schema.SAMPLE_RATE)) / schema.SAMPLE_RATE
  pitch = 2 * np.pi * np.cumsum(120 + 25 * np.sin(3 * time)) / schema.SAMPLE_RATE
  voice = sum(np.sin(k * pitch) / k for k in range(1, 12))
  breath = np.random.default_rng(0).normal(size=len(time))
  syllables = np.clip(np.sin(2 * np.pi * 2.5 * time), 0, 1)
  return (0.12 * syllables * (voice + 0.1 * breath)).astype(np.float32)


def _load(path: str) -> tuple[Talker, dict[str, Any]]:
  talker = talkers.load(path)
  for part in talker.speech_encoder.partition('@')[0].rpartition(':')[2].split('+'):
    if part not in _HEARD:
      raise InputError(
        f'got a talker that hears through {part!r}, expected {" or ".join(_HEARD)}, which have a '
        'twin in PyTorch; train on records that were prepared with '
        f'--encoder {"+".join(_HEARD)}'
      )
  return talker, _weights(bundles.provenance(builtin.path_of(path)))


def _weights(provenance: Any) -> dict[str, Any]:
  """Which weights of a training each network has. Raises InputError where this is not known."""
  chosen = {}
  for name in STAGES:
    try:
      one = provenance[name]
      decay, step = float(one['config']['ema_decay']), int(one['step'])
    except (KeyError, TypeError, ValueError):
      raise InputError(
        f'got a talker whose provenance.json does not say whether the weights of {name} are '
        f'moving averages, expected {name}.config.ema_decay and {name}.step; bundle it again'
      ) from None
    kind = 'moving average' if decay else 'last step'
    chosen[name] = {'weights': kind, 'ema_decay': decay, 'step': step}
  return chosen


def _check_description(found: Mapping[str, Any], talker: Talker) -> None:
  expected = trees.flatten(json.loads(json.dumps(bundling.describe(talker))))
  found = trees.flatten(found)
  wrong = sorted(
    name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
  )
  if wrong:
    raise ParityError(f'config.json has another talker.{wrong[0]} than the talker')


def _blame(failed: Layer | check.Result) -> str:
  if isinstance(failed, Layer):
    return (
      f'{failed.name} computes something else in PyTorch: relative difference '
      f'{failed.relative:.1e}, expected <= {failed.limit:.0e}'
    )
  return (
    f'the golden {failed.name} comes out differently in PyTorch: mean difference '
    f'{failed.mean:.1e}, expected <= {failed.limit:.1e}'
  )
