"""From three trained work directories to a talker, and from a talker to a folder that travels."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax import linen as nn
from flax import traverse_util

from gmtalker_jax import speech
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.inference import latents
from gmtalker_jax.inference.talker import Generator, Painter, Talker, check_latent, generator_of
from gmtalker_jax.io import bundles, heads, people, workdir
from gmtalker_jax.stages import STAGES

_logger = logging.getLogger(__name__)


def from_workdirs(paths: Mapping[str, str], seed: int = 0) -> tuple[Talker, dict[str, Any]]:
  """Puts trained work directories together; the person is the portrait's.

  Args:
    paths: stage -> work directory, one for each of `STAGES`.
    seed: of the look.

  Returns:
    The talker, and where its weights come from (steps and configs), for provenance.json.

  Raises:
    InputError: nothing trained there, a work directory of another stage, or generators that do
      not fit each other.
  """
  trained = {name: workdir.read_inference(paths[name]) for name in STAGES}
  served = {name: generator_of(name, trained[name], paths[name]) for name in STAGES}
  about = {name: one.about for name, one in trained.items()}
  _check_together(about)
  check_latent(served['expression'], served['portrait'])
  _check_learnt(served['expression'], about['portrait'])
  talker = Talker(
    expression=served['expression'],
    motion=served['motion'],
    portrait=Painter(served['portrait'].module, served['portrait'].params, about['portrait'].head),
    head=heads.load_head(),
    person=trained['portrait'].person,
    subjects=about['expression'].subjects,
    subject=about['portrait'].subject,
    speech_encoder=about['expression'].speech_encoder,
    seed=seed,
  )
  return talker, {name: {'step': one.step, 'config': one.config} for name, one in trained.items()}


def into(talker: Talker, paths: Mapping[str, str]) -> tuple[Talker, dict[str, Any]]:
  """Puts trained work directories in the place of some of a talker's generators.

  Args:
    talker: keeps what `paths` does not name.
    paths: stage -> work directory.

  Returns:
    As `from_workdirs`.

  Raises:
    InputError: as `from_workdirs`.
  """
  provenance, before, painter = {}, talker.expression, None
  for stage, path in paths.items():
    trained = workdir.read_inference(path)
    served, about = generator_of(stage, trained, path), trained.about
    provenance[stage] = {'step': trained.step, 'config': trained.config}
    if stage == 'portrait':
      painter = about
      talker = talker._replace(
        portrait=Painter(served.module, served.params, about.head),
        person=trained.person,
        subject=about.subject,
      )
      continue
    if not speech.same(about.speech_encoder, talker.speech_encoder):
      raise InputError(
        f'got {str(path)!r} on {about.speech_encoder!r}, expected {talker.speech_encoder!r} as the '
        'talker; train on records of that'
      )
    if stage == 'expression':
      talker = talker._replace(expression=served, subjects=about.subjects)
    else:
      talker = talker._replace(motion=served)
  check_latent(talker.expression, talker.portrait)
  if painter:
    _check_learnt(talker.expression, painter)
  elif 'expression' in paths:
    _warn_of_other_latents(before, talker)
  return talker, provenance


def save(talker: Talker, directory: str, provenance: Mapping[str, Any], dtype: str) -> None:
  """Writes a talker directory; `talker.load` reads it back."""
  tensors = {
    name: {
      key: np.asarray(value)
      for key, value in traverse_util.flatten_dict(
        dict(getattr(talker, name).params), sep='/'
      ).items()
    }
    for name in STAGES
  }
  bundles.save(directory, describe(talker), tensors, provenance, dtype)


def describe(talker: Talker) -> dict[str, Any]:
  """All of a talker but its weights, as plain JSON values; `talker.from_description` reads it."""
  generators: dict[str, Generator | Painter] = {name: getattr(talker, name) for name in STAGES}
  return {
    'emotions': list(schema.EMOTIONS),
    'layout': 'arkit',
    'head': talker.portrait.head,
    'speech_encoder': talker.speech_encoder,
    'subject': talker.subject,
    'subjects': list(talker.subjects),
    'seed': talker.seed,
    **people.to_json(talker.person),
    'models': {name: hyperparameters(g.module) for name, g in generators.items()},
    'statistics': {
      name: g.statistics.to_json() for name, g in generators.items() if isinstance(g, Generator)
    },
  }


def hyperparameters(module: nn.Module) -> dict[str, Any]:
  """The keyword arguments that make `module` again."""
  names = [name for name in module.__dataclass_fields__ if name not in ('parent', 'name')]
  return {name: getattr(module, name) for name in names}


def _check_learnt(expression: Generator, portrait: workdir.About) -> None:
  """A painter that is given other latents than it has learnt from paints a grid."""
  if portrait.latents is None:
    return
  found = latents.Encoder(expression, portrait.speech_encoder).centres()
  if not latents.are_alike(np.array(portrait.latents), found):
    raise InputError(
      'got a portrait that has learnt from the latents of another expression generator, expected '
      f'{portrait.config["data"]["expression_workdir"]!r}; take that, or train the portrait with '
      'config.data.expression_workdir of this one'
    )


def _warn_of_other_latents(before: Generator, talker: Talker) -> None:
  """No error: what is measured of the face alone (a sweep of expressions) asks no painter."""
  if talker.portrait.module.zgm_injection == 'none':
    return
  both = (latents.Encoder(g, talker.speech_encoder) for g in (before, talker.expression))
  if not latents.are_alike(*(encoder.centres() for encoder in both)):
    _logger.warning(
      'the portrait has not learnt from latents of this expression generator: faces move rightly, '
      'pictures may be wrong; train a portrait with config.data.expression_workdir of it'
    )


def _check_together(about: Mapping[str, workdir.About]) -> None:
  encoders = {name: about[name].speech_encoder for name in ('expression', 'motion')}
  if not speech.same(*encoders.values()):
    raise InputError(f'got generators of different speech encoders {encoders}; prepare both alike')
  for name, one in about.items():
    if one.layout != 'arkit' or one.emotions != schema.EMOTIONS:
      raise InputError(
        f'got {name} of the layout {one.layout!r} and emotions {list(one.emotions)}, '
        f"expected 'arkit' and {list(schema.EMOTIONS)}"
      )
  if about['portrait'].identity is None:
    raise InputError('got a portrait without an identity; train it again on records with frames')
