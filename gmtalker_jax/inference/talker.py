"""A talker: three generators, the statistics they were trained with, a head, and a person."""

import functools
import logging
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from gmtalker_jax import speech
from gmtalker_jax.core import rng, trees
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema, statistics
from gmtalker_jax.face.morphable import Head
from gmtalker_jax.face.person import Person
from gmtalker_jax.inference import builtin
from gmtalker_jax.io import bundles, heads, people, workdir
from gmtalker_jax.stages import STAGES
from gmtalker_jax.types import Params

_logger = logging.getLogger(__name__)
_LARGEST = 1 << 14  # no width, length or count of a model is larger; guards hostile files


class Generator(NamedTuple):
  """A linen module with the weights it serves and the moments of what it sees and makes."""

  module: Any  # the generator of a stage
  params: Params
  statistics: statistics.Statistics


class Painter(NamedTuple):
  """The portrait generator: it sees pictures, which need no statistics."""

  module: Any
  params: Params
  head: str  # whose renderings it has learnt from: 'builtin@digest', 'builtin' where unknown


class Talker(NamedTuple):
  """All that `speak` needs."""

  expression: Generator
  motion: Generator
  portrait: Painter
  head: Head
  person: Person  # whom the renderings show
  subjects: tuple[str, ...]  # the people that the expression generator learnt from
  subject: str  # the person of the portrait
  speech_encoder: str
  seed: int  # of the look: fixes the style code, whatever is said

  @property
  def subject_index(self) -> int:
    """Whose manner of expression to use; -1 (the mean) when the person was not in training."""
    return self.subjects.index(self.subject) if self.subject in self.subjects else -1

  @property
  def style(self) -> np.ndarray:
    """z_style [1, 64], one per talker so that the look does not change between talks."""
    return _style(self.seed, self.portrait.module.style_dim)


@functools.cache  # asked for with every frame, and drawing it takes milliseconds
def _style(seed: int, width: int) -> np.ndarray:
  return np.asarray(jax.random.normal(rng.key_for(seed, 'style'), (1, width)))


def load(directory: str = 'builtin') -> Talker:
  """Loads a talker directory (io/bundles.py), or one that ships with the package.

  Args:
    directory: of a talker; or 'builtin', 'builtin:NAME' (inference/builtin.py).

  Raises:
    InputError: not a talker, damaged, or weights that do not fit the models it names.
  """
  bundle = bundles.load(builtin.path_of(directory), tuple(STAGES))
  try:  # the weights of those that ship fit: a test compares them, which takes a second
    return from_description(bundle.description, bundle.tensors, check=not builtin.named(directory))
  except (KeyError, TypeError, ValueError, AttributeError) as error:
    if isinstance(error, InputError):
      raise
    reason = str(error).splitlines()[0] if str(error) else ''
    raise InputError(
      f'got a talker {directory!r} that cannot be read ({type(error).__name__}: {reason[:120]}); '
      'make it again with `gmtalker bundle`'
    ) from None


def generator_of(stage: str, trained: workdir.Inference, path: str) -> Generator:
  """What a work directory serves that was read from `path`.

  Raises InputError: it is of another stage.
  """
  if trained.stage != stage:
    raise InputError(
      f'got {str(path)!r} of the stage {trained.stage!r}, expected a trained {stage}; take that one'
    )
  params = trained.params['generator']
  try:
    module = STAGES[stage].generator(**trained.model)
    problem = trees.mismatch(STAGES[stage].abstract_params(module), params)
  except TypeError as error:  # a field that the network does not have
    problem = str(error)
  if problem:
    raise InputError(
      f'got {str(path)!r} whose {stage} this version does not know ({problem}), expected one '
      'that it trained; train it again'
    )
  return Generator(module, jax.tree.map(jnp.asarray, params), trained.statistics)


def check_latent(expression: Generator, portrait: Generator | Painter) -> None:
  """The latent of the expression generator is what the portrait generator takes."""
  made, painter = expression.module.latent_dim, portrait.module
  if painter.zgm_injection != 'none' and painter.latent_dim != made:
    raise InputError(
      f'got an expression latent of {made} and a portrait that takes {painter.latent_dim}, '
      'expected the same; train the portrait with config.data.expression_workdir of this expression'
    )


def from_description(
  description: Mapping[str, Any],
  tensors: Mapping[str, Mapping[str, np.ndarray]],
  check: bool,
) -> Talker:
  """A talker from what `bundling.describe` says of it and its weights by path.

  Args:
    description: plain JSON values.
    tensors: per stage, 'a/b/kernel' -> array.
    check: whether names and shapes are compared with those that the networks would have.

  Raises:
    InputError: parts that do not fit together. Other errors: a description of another form.
  """
  if tuple(description['emotions']) != schema.EMOTIONS:
    raise InputError(
      f'got a talker with the emotions {description["emotions"]}, expected {list(schema.EMOTIONS)}'
    )
  served = {}
  for name in STAGES:
    module = module_of(name, description['models'][name])
    params = traverse_util.unflatten_dict(dict(tensors[name]), sep='/')
    if check:
      _check_params(name, module, params)
    served[name] = module, jax.device_put(params)
  moments = {
    name: _statistics(description.get('statistics', {}).get(name), name)
    for name in ('expression', 'motion')
  }
  talker = Talker(
    expression=Generator(*served['expression'], moments['expression']),
    motion=Generator(*served['motion'], moments['motion']),
    portrait=Painter(*served['portrait'], _builtin_only(description['head'])),
    head=heads.load_head(),
    person=people.from_json(description),
    subjects=tuple(map(str, description['subjects'])),
    subject=str(description['subject']),
    speech_encoder=description['speech_encoder'],
    seed=int(description['seed']),
  )
  _check(talker)
  return talker


def _builtin_only(head: str) -> str:
  """What the description says of the head. Raises InputError where that is none of ours."""
  if not re.fullmatch('builtin(@[0-9a-f]{8})?', str(head)):  # a talker comes from someone else
    raise InputError(f'got a talker on the head {str(head)[:60]!r}, expected "builtin"')
  if head not in ('builtin', heads.name()):
    _logger.warning(
      'the portrait has learnt from renderings of %s, this version renders %s: emotions may be too '
      'strong or too weak; prepare its records and train it again',
      head,
      heads.name(),
    )
  return head


def module_of(name: str, hyperparameters: Mapping[str, Any]) -> Any:
  """The generator of a stage. Raises InputError on a number that no network has."""
  for key, value in hyperparameters.items():
    if isinstance(value, (int, float)) and not -_LARGEST <= value <= _LARGEST:
      raise InputError(f'got {name}.{key} = {value}, expected a number up to {_LARGEST}')
  fields = {k: tuple(v) if isinstance(v, list) else v for k, v in hyperparameters.items()}
  return STAGES[name].generator(**fields)


def _check_params(name: str, module: Any, params: Params) -> None:
  """Compares names and shapes with those that the module would have; makes no array."""
  problem = trees.mismatch(STAGES[name].abstract_params(module), params)
  if problem:
    raise InputError(
      f'got {name} weights that do not fit its model in talker.json ({problem}); the files do not '
      'belong together'
    )


def _statistics(values: Any, name: str) -> statistics.Statistics:
  try:
    stats = statistics.from_json(values)
  except (KeyError, TypeError) as error:
    raise InputError(
      f'got a talker without the statistics of {name} ({type(error).__name__}: {error}), expected '
      'means and variances; bundle it again'
    ) from None
  for key, moments in stats._asdict().items():
    fine = moments.mean.ndim == 1 and moments.mean.shape == moments.variance.shape
    if not fine or not np.isfinite(np.concatenate([moments.mean, moments.variance])).all():
      raise InputError(f'got statistics of {name}.{key}, expected finite means and variances [C]')
  return stats


def _check(talker: Talker) -> None:
  """What speaking needs of the parts together."""
  check_latent(talker.expression, talker.portrait)
  wanted = (talker.head.identity.shape[0],)
  if talker.person.identity.shape != wanted:
    got = list(talker.person.identity.shape)
    raise InputError(f'got an identity {got}, expected {list(wanted)}; bundle the talker again')
  width = speech.dimension(talker.speech_encoder)
  for name, part in (('expression', talker.expression), ('motion', talker.motion)):
    moments = part.statistics._asdict()
    for key, expected in (('speech', width), (name, getattr(part.module, f'{name}_dim'))):
      if len(moments[key].mean) != expected:
        raise InputError(
          f'got {name} statistics of {len(moments[key].mean)} {key} features, expected {expected} '
          f'for {talker.speech_encoder}; the files do not belong together'
        )
