"""What is special about each stage: which examples it takes and which sizes the data dictate."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import batches, schema, source, windows
from gmtalker_jax.data.statistics import Statistics
from gmtalker_jax.io import workdir as workdir_lib
from gmtalker_jax.io.workdir import About
from gmtalker_jax.models.expression import ExpressionGenerator
from gmtalker_jax.train.settings import Settings


class Column(NamedTuple):
  """Examples and sizes of one stage."""

  train: batches.Items
  test: batches.Items
  example: batches.Example
  groups: Sequence[Any] | None  # emotion of each training item, where they are to be balanced
  model: dict[str, Any]  # keyword arguments of the generator, sizes filled in
  statistics: Statistics
  fingerprint: str
  about: dict[str, Any]  # fields of `About` beyond the common ones


def open_column(settings: Settings, config: Mapping[str, Any]) -> tuple[Column, About]:
  """Opens the records of a stage; `config` is kept in what is written about the run."""
  column = COLUMNS[settings.stage](settings)
  about = About(
    stage=settings.stage,
    model=column.model,
    config=dict(config),
    emotions=schema.EMOTIONS,
    **column.about,
  )
  return column, about


def expression(settings: Settings) -> Column:
  """Windows of clips with labels."""
  train, test = _clips(settings)
  sizes = _sizes(train)
  example = partial(
    windows.expression,
    frames=settings.data.frames,
    statistics=train.statistics,
    subjects=train.subjects,
    soft_levels=settings.data.soft_levels,
  )
  derived = {
    'expression_dim': sizes.expression,
    'speech_dim': sizes.speech,
    'subjects': len(train.subjects),
  }
  return _column(settings, train, test, example, derived)


def motion(settings: Settings) -> Column:
  """Windows of clips."""
  train, test = _clips(settings)
  sizes = _sizes(train)
  example = partial(windows.motion, frames=settings.data.frames, statistics=train.statistics)
  derived = {'motion_dim': sizes.motion, 'speech_dim': sizes.speech}
  return _column(settings, train, test, example, derived)


def portrait(settings: Settings) -> Column:
  """Single frames of one person; z_gm comes from a trained expression stage."""
  train, test = _open(settings, 'train', True), _open(settings, 'test', True)
  subject = settings.data.subject or _only_person(settings)
  latent_of, latent = _latents(settings)
  model = {**settings.model, 'latent_dim': latent} if latent else dict(settings.model)
  train_clips = _clips_of(train, subject)
  train_frames = _frames(train, train_clips, latent_of, settings)
  groups = [np.argmax(f['emotion']) for f in train_frames]
  return Column(
    train=train_frames,
    test=_frames(test, _clips_of(test, subject), latent_of, settings),
    example=windows.portrait,
    groups=groups if settings.data.balanced else None,
    model=model,
    statistics=train.statistics,
    fingerprint=f'{train.fingerprint}-{subject}',
    about={
      **_about(train),
      'subject': subject,
      'identity': _identity(train, train_clips),
    },
  )


COLUMNS: dict[str, Callable[[Settings], Column]] = {
  'expression': expression,
  'motion': motion,
  'portrait': portrait,
}


class _Sizes(NamedTuple):
  expression: int
  motion: int
  speech: int


def _sizes(train: source.Source) -> _Sizes:
  return _Sizes(*(len(moments.mean) for moments in train.statistics))


def _open(settings: Settings, split: str, with_frames: bool = False) -> source.Source:
  return source.open_records(settings.data.records, split, with_frames, settings.data.verify)


def _clips(settings: Settings) -> tuple[source.Source, source.Source]:
  return _open(settings, 'train'), _open(settings, 'test')


def _column(
  settings: Settings,
  train: source.Source,
  test: source.Source,
  example: batches.Example,
  derived: Mapping[str, Any],
) -> Column:
  items = batches.cached(train) if settings.data.cache else train
  groups = None
  if settings.data.balanced:
    groups = [items[i]['emotion'] for i in range(len(items))]
  return Column(
    train=items,
    test=batches.cached(test) if settings.data.cache else test,
    example=example,
    groups=groups,
    model={**derived, **settings.model},
    statistics=train.statistics,
    fingerprint=train.fingerprint,
    about=_about(train),
  )


def _about(train: source.Source) -> dict[str, Any]:
  first = source.Source(train.directory, train.split, with_frames=False)[0]
  return {
    'subjects': train.subjects,
    'layout': first['layout'],
    'speech_encoder': first['speech_encoder'],
  }


def _only_person(settings: Settings) -> str:
  clips = _open(settings, 'train', True)
  people = sorted({clips[i]['subject'] for i in range(len(clips)) if len(clips[i]['frames'])})
  if len(people) != 1:
    raise InputError(
      f'got people with frames {people} in {settings.data.records}, expected one; set '
      'config.data.subject (or prepare with frames)'
    )
  return people[0]


def _clips_of(clips: source.Source, subject: str) -> list[int]:
  plain = source.Source(clips.directory, clips.split, with_frames=False)
  return [i for i in range(len(plain)) if plain[i]['subject'] == subject]


def _frames(
  clips: source.Source, numbers: Sequence[int], latent_of: Callable, settings: Settings
) -> list[dict[str, np.ndarray]]:
  """Every tracked frame of these clips, decoded, in memory."""
  sizes = {name: settings.model[name] for name in ('input_size', 'output_size')}
  frames = []
  for i in numbers:
    record = clips[i]
    if len(record['frames']):
      frames += windows.portrait_frames(
        record, latent_of(record), soft_levels=settings.data.soft_levels, **sizes
      )
  if not frames:
    raise InputError(
      f'got no frame of {settings.data.subject or "anyone"!r} in the split {clips.split!r} of '
      f'{settings.data.records}, expected some; prepare with frames'
    )
  return frames


def _identity(clips: source.Source, numbers: Sequence[int]) -> list[float]:
  plain = source.Source(clips.directory, clips.split, with_frames=False)
  return np.mean([plain[i]['identity'] for i in numbers], 0).astype(float).tolist()


def _latents(settings: Settings) -> tuple[Callable[[Mapping[str, Any]], np.ndarray], int]:
  """(record -> z_gm [Z], Z). Zeros where the portrait takes no latent (Z 0: its own default)."""
  if settings.model.get('zgm_injection') == 'none':
    width = settings.model.get('latent_dim', 1)
    return lambda record: np.zeros(width, np.float32), 0
  if not settings.data.expression_workdir:
    raise InputError(
      'got no config.data.expression_workdir, expected the workdir of a trained expression stage; '
      "set it, or config.model.zgm_injection='none'"
    )
  trained = workdir_lib.read_inference(settings.data.expression_workdir)
  generator = ExpressionGenerator(**trained.model)
  variables = {'params': trained.params['generator']}

  @jax.jit
  def encode(values, speech, mask):
    return generator.apply(
      variables, values, speech, mask, method=ExpressionGenerator.posterior_mean
    )

  def latent_of(record):
    frames = -(-len(record['expression']) // 64) * 64  # few shapes, few compilations
    window = windows.expression(
      record,
      np.random.default_rng(0),
      frames=frames,
      statistics=trained.statistics,
      subjects=trained.about.subjects,
    )
    batch = [x[None] for x in (window.expression, window.speech, window.mask)]
    return np.asarray(encode(*batch))[0]

  return latent_of, trained.model.get('latent_dim', ExpressionGenerator.latent_dim)
