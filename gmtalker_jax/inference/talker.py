"""A talker: three generators, the statistics they were trained with, a head, and a person."""

import functools
import importlib.resources
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import traverse_util
from flax.errors import FlaxError

from gmtalker_jax.core import rng
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema, speech, statistics
from gmtalker_jax.face.morphable import Head
from gmtalker_jax.io import bundles, heads, workdir
from gmtalker_jax.models.expression import ExpressionGenerator
from gmtalker_jax.models.motion import MotionGenerator
from gmtalker_jax.models.portrait import PortraitGenerator
from gmtalker_jax.types import Params

MODULES: dict[str, Callable[..., Any]] = {
  'expression': ExpressionGenerator,
  'motion': MotionGenerator,
  'portrait': PortraitGenerator,
}
_LARGEST = 1 << 14  # no width, length or count of a model is larger; guards hostile files


class Generator(NamedTuple):
  """A linen module with the weights it serves and the moments of what it sees and makes."""

  module: Any  # ExpressionGenerator or MotionGenerator
  params: Params
  statistics: statistics.Statistics


class Painter(NamedTuple):
  """The portrait generator: it sees pictures, which need no statistics."""

  module: PortraitGenerator
  params: Params


class Talker(NamedTuple):
  """All that `speak` needs."""

  expression: Generator
  motion: Generator
  portrait: Painter
  head: Head
  identity: np.ndarray  # [I] the person's head shape
  subjects: tuple[str, ...]  # the people that the expression generator learnt from
  subject: str  # the person of the portrait
  speech_encoder: str
  seed: int  # of the look: fixes the style code, whatever is said

  @property
  def subject_index(self) -> int:
    """Whose manner of expression to use; -1 (the mean) when the person was not in training."""
    return self.subjects.index(self.subject) if self.subject in self.subjects else -1

  @property
  def style(self) -> jax.Array:
    """z_style [1, 64], one per talker so that the look does not change between talks."""
    shape = (1, self.portrait.module.style_dim)
    return jax.random.normal(rng.key_for(self.seed, 'style'), shape)


def load(directory: str = 'builtin') -> Talker:
  """Loads a talker directory (io/bundles.py) or the one that ships with the package.

  Raises:
    InputError: not a talker, damaged, or weights that do not fit the models it names.
  """
  bundle = bundles.load(builtin_path() if directory == 'builtin' else directory)
  try:
    return _from_description(bundle.description, bundle.tensors)
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    if isinstance(error, InputError):
      raise
    reason = str(error).splitlines()[0] if str(error) else ''
    raise InputError(
      f'got a talker {directory!r} that cannot be read ({type(error).__name__}: {reason[:120]}); '
      'make it again with `gmtalker bundle`'
    ) from None


def builtin_path() -> str:
  """Where the talker that ships with the package lies."""
  return str(importlib.resources.files('gmtalker_jax') / 'inference' / 'talkers' / 'builtin')


def from_workdirs(expression: str, motion: str, portrait: str, seed: int = 0) -> Talker:
  """Puts three trained work directories together; the person is the portrait's.

  Raises:
    InputError: nothing trained there, a work directory of another stage, or generators that do
      not fit each other.
  """
  paths = {'expression': expression, 'motion': motion, 'portrait': portrait}
  served = {name: workdir.read_inference(path) for name, path in paths.items()}
  for name, one in served.items():
    if one.stage != name:
      raise InputError(f'got {paths[name]!r} of the stage {one.stage!r} as the {name}; swap them')
  about = {name: one.about for name, one in served.items()}
  _check_together(about)
  generators: dict[str, Any] = {
    name: _generator(name, one.model, one.params['generator'], one.statistics)
    for name, one in served.items()
  }
  _check_latent(generators)
  return Talker(
    **generators,
    head=heads.load_head(),
    identity=np.asarray(served['portrait'].identity),
    subjects=about['expression'].subjects,
    subject=about['portrait'].subject,
    speech_encoder=about['expression'].speech_encoder,
    seed=seed,
  )


def _generator(
  name: str, model: Mapping, params: Params, stats: statistics.Statistics | None
) -> Generator | Painter:
  params = jax.tree.map(jnp.asarray, params)
  if name == 'portrait' or stats is None:
    return Painter(_module(name, model), params)
  return Generator(_module(name, model), params, stats)


def _check_together(about: Mapping[str, workdir.About]) -> None:
  encoders = {name: about[name].speech_encoder for name in ('expression', 'motion')}
  if len(set(encoders.values())) > 1:
    raise InputError(f'got generators of different speech encoders {encoders}; prepare both alike')
  for name, one in about.items():
    if one.layout != 'arkit' or one.emotions != schema.EMOTIONS:
      raise InputError(
        f'got {name} of the layout {one.layout!r} and emotions {list(one.emotions)}, '
        f"expected 'arkit' and {list(schema.EMOTIONS)}"
      )
  if about['portrait'].identity is None:
    raise InputError('got a portrait without an identity; train it again on records with frames')


def save(talker: Talker, directory: str, provenance: Mapping[str, Any], dtype: str) -> None:
  """Writes a talker directory; `load` reads it back."""
  generators = {name: getattr(talker, name) for name in MODULES}
  description = {
    'emotions': list(schema.EMOTIONS),
    'layout': 'arkit',
    'head': 'builtin',
    'speech_encoder': talker.speech_encoder,
    'subject': talker.subject,
    'subjects': list(talker.subjects),
    'seed': talker.seed,
    'identity': talker.identity.tolist(),
    'models': {name: hyperparameters(g.module) for name, g in generators.items()},
    'statistics': {
      name: g.statistics.to_json() for name, g in generators.items() if isinstance(g, Generator)
    },
  }
  tensors = {
    name: {
      key: np.asarray(value)
      for key, value in traverse_util.flatten_dict(dict(g.params), sep='/').items()
    }
    for name, g in generators.items()
  }
  bundles.save(directory, description, tensors, provenance, dtype)


def hyperparameters(module: nn.Module) -> dict[str, Any]:
  """The keyword arguments that make `module` again, as far as JSON knows them."""
  values = {
    name: getattr(module, name)
    for name in module.__dataclass_fields__
    if name not in ('parent', 'name')
  }
  return {k: v for k, v in values.items() if isinstance(v, (int, float, str, bool, list, tuple))}


def _from_description(
  description: Mapping[str, Any], tensors: Mapping[str, Mapping[str, np.ndarray]]
) -> Talker:
  if tuple(description['emotions']) != schema.EMOTIONS:
    raise InputError(
      f'got a talker with the emotions {description["emotions"]}, expected {list(schema.EMOTIONS)}'
    )
  generators: dict[str, Any] = {}
  for name in MODULES:
    stats = None if name == 'portrait' else _statistics(description['statistics'][name], name)
    params = traverse_util.unflatten_dict(dict(tensors[name]), sep='/')
    generators[name] = _generator(name, description['models'][name], params, stats)
  _check_latent(generators)
  _check_params(generators)
  head = heads.load_head(_builtin_only(description['head']))
  identity = np.asarray(description['identity'], np.float32)
  if identity.shape != (head.identity.shape[0],) or not np.isfinite(identity).all():
    raise InputError(f'got an identity {list(identity.shape)}, expected [{head.identity.shape[0]}]')
  _check_encoder(description['speech_encoder'], generators)
  return Talker(
    **generators,
    head=head,
    identity=identity,
    subjects=tuple(map(str, description['subjects'])),
    subject=str(description['subject']),
    speech_encoder=description['speech_encoder'],
    seed=int(description['seed']),
  )


def _builtin_only(head: str) -> str:
  if head != 'builtin':  # a talker names no path: it came from someone else
    raise InputError(f'got a talker on the head {str(head)[:60]!r}, expected "builtin"')
  return head


def _module(name: str, hyperparameters: Mapping[str, Any]) -> Any:
  for key, value in hyperparameters.items():
    if isinstance(value, (int, float)) and not -_LARGEST <= value <= _LARGEST:
      raise InputError(f'got {name}.{key} = {value}, expected a number up to {_LARGEST}')
  fields = {k: tuple(v) if isinstance(v, list) else v for k, v in hyperparameters.items()}
  return MODULES[name](**fields)


def _statistics(values: Mapping[str, Any], name: str) -> statistics.Statistics:
  stats = statistics.from_json(values)
  for key, moments in stats._asdict().items():
    fine = moments.mean.ndim == 1 and moments.mean.shape == moments.variance.shape
    if not fine or not np.isfinite(np.concatenate([moments.mean, moments.variance])).all():
      raise InputError(f'got statistics of {name}.{key}, expected finite means and variances [C]')
  return stats


def _check_latent(generators: Mapping[str, Any]) -> None:
  """The latent of the expression generator is what the portrait generator takes."""
  made, painter = generators['expression'].module.latent_dim, generators['portrait'].module
  if painter.zgm_injection != 'none' and painter.latent_dim != made:
    raise InputError(
      f'got an expression latent of {made} and a portrait that takes {painter.latent_dim}, '
      'expected the same; train the portrait with config.data.expression_workdir of this expression'
    )


def _check_encoder(encoder: str, generators: Mapping[str, Generator]) -> None:
  width = speech.dimension(encoder)
  for name in ('expression', 'motion'):
    found = len(generators[name].statistics.speech.mean)
    if found != width:
      raise InputError(f'got {name} statistics of {found} speech features, {encoder} has {width}')


def _check_params(generators: Mapping[str, Any]) -> None:
  """Traces what `speak` and `evaluate` call; linen compares names and shapes. Makes no array."""
  for name, generator in generators.items():
    try:
      jax.eval_shape(functools.partial(_CALLS[name], generator), generator.params)
    except FlaxError as error:
      raise InputError(
        f'got {name} weights that do not fit its model in talker.json '
        f'({str(error).splitlines()[0][:160]}); the files do not belong together'
      ) from None


def _call_expression(generator: Generator, params: Params) -> Any:
  module, stats = generator.module, generator.statistics
  speech_rows = jnp.zeros((1, 4, len(stats.speech.mean)))
  frames = jnp.zeros((1, 2, len(stats.expression.mean)))
  weights = jnp.zeros((1, 2, len(schema.EMOTIONS)))
  variables = {'params': params}
  mean = module.apply(variables, frames, speech_rows, jnp.ones((1, 2)), method='posterior_mean')
  return mean, module.apply(variables, speech_rows, weights, jax.random.key(0), method='sample')


def _call_motion(generator: Generator, params: Params) -> Any:
  speech_rows = jnp.zeros((1, 8, len(generator.statistics.speech.mean)))
  return generator.module.apply({'params': params}, speech_rows, jax.random.key(0), method='sample')


def _call_portrait(generator: Painter, params: Params) -> Any:
  module = generator.module
  rendering = jnp.zeros((1, module.input_size, module.input_size, 3))
  weights = jnp.zeros((1, len(schema.EMOTIONS)))
  latent, style = jnp.zeros((1, module.latent_dim)), jnp.zeros((1, module.style_dim))
  return module.apply({'params': params}, rendering, weights, latent, style)


_CALLS = {'expression': _call_expression, 'motion': _call_motion, 'portrait': _call_portrait}


def provenance(workdirs: Mapping[str, str]) -> dict[str, Any]:
  """Which steps of which configs the weights come from, for provenance.json."""
  runs = {name: workdir.read_inference(path) for name, path in workdirs.items()}
  return {name: {'step': run.step, 'config': run.config} for name, run in runs.items()}
