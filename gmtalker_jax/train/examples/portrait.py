"""Examples of the portrait stage: single frames of one person, with z_gm of their clip."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from gmtalker_jax.core.bounds import Amount, Share
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import frames, windows
from gmtalker_jax.data.batches import Items
from gmtalker_jax.data.emotion import label
from gmtalker_jax.data.latent import Normal
from gmtalker_jax.data.statistics import Statistics
from gmtalker_jax.data.windows import Record
from gmtalker_jax.inference import latents
from gmtalker_jax.io import perceptual
from gmtalker_jax.train import settings as settings_lib
from gmtalker_jax.train.examples import clips
from gmtalker_jax.train.settings import Settings


@dataclasses.dataclass(frozen=True)
class Data(settings_lib.Data):
  """Keys of config.data."""

  soft_levels: bool  # intensity levels as soft labels
  unknown_emotion: Amount  # see data/emotion.py
  posterior_share: Share  # of the examples with the clip's own z_gm, see data/latent.py
  subject: str  # the person; '' = the only one with frames
  temperature: Amount  # of z_gm, at most
  expression_workdir: str  # or a talker: whose encoder gives z_gm
  vgg16: str  # weights of the perceptual loss; '' = those of an installed package


def open_examples(settings: Settings, statistics: Statistics | None = None) -> clips.Examples:
  """Opens the records of a run, and the expression stage that z_gm comes from."""
  data, found = settings.data, clips.open_clips(settings, statistics, with_frames=True)
  encoder = _encoder(settings)
  train, test = (_survey(split, settings, encoder) for split in (found.train, found.test))
  person = _person(train, data)
  train, test = ([clip for clip in split if clip.subject == person] for split in (train, test))
  example = partial(
    windows.portrait,
    input_size=settings.model['input_size'],
    output_size=settings.model['output_size'],
    mixtures=encoder.mixtures() if encoder else None,
    posterior_share=data.posterior_share,
    temperature=data.temperature,
    soft_levels=data.soft_levels,
    unknown_emotion=data.unknown_emotion,
  )
  return clips.Examples(
    train=_frames(found.train, train, f"the split 'train' of {data.records}"),
    test=_frames(found.test, test, f"the split 'test' of {data.records}"),
    example=example,
    groups=[clip.group for clip in train for _ in clip.frames] if data.balanced else None,
    sizes={'latent_dim': encoder.latent_dim if encoder else 1},
    statistics=found.statistics,
    fingerprint='-'.join((found.source.fingerprint, person, encoder.digest if encoder else 'none')),
    about={
      **found.about,
      'subject': person,
      'head': found.source.head,
      'latents': encoder.centres().round(4).tolist() if encoder else None,
      **_known_of(person, found.source.people, train),
    },
    assets=_assets(settings),
  )


class _Clip(NamedTuple):
  """What stays in memory of a clip."""

  number: int
  subject: str
  identity: np.ndarray  # [I]
  frames: np.ndarray  # numbers of the frames with pictures whose face was tracked
  latent: Normal  # q(z_gm | clip) [Z]
  group: int  # the emotion that weighs most, -1 = unknown


_NO_LATENT = Normal(np.zeros(1, np.float32), np.zeros(1, np.float32))


def _survey(split: Items, settings: Settings, encode: latents.Encoder | None) -> list[_Clip]:
  """Reads a split once; clips of other people than `data.subject` are left out."""
  return [
    _clip(i, record, settings.data, encode)
    for i, record in ((i, split[i]) for i in range(len(split)))
    if record['subject'] == (settings.data.subject or record['subject'])
  ]


def _clip(number: int, record: Record, data: Data, encode: latents.Encoder | None) -> _Clip:
  pictured = len(record['frames']) > 0
  emotion, level = record['emotion'], int(record['level'])
  return _Clip(
    number=number,
    subject=record['subject'],
    identity=record['identity'],
    frames=frames.tracked(record) if pictured else np.zeros(0, int),
    latent=encode.posterior(record) if encode and pictured else _NO_LATENT,
    group=int(np.argmax(label(emotion, level, data.soft_levels))) if emotion else -1,
  )


def _frames(split: Items, survey: list[_Clip], where: str) -> frames.Frames:
  kept = [clip for clip in survey if len(clip.frames)]
  if not kept:
    raise InputError(f'got no frame in {where}, expected some; prepare with frames')
  tracked = {clip.number: clip.frames for clip in kept}
  latents = zip(*(clip.latent for clip in kept), strict=True)
  return frames.Frames(split, tracked, Normal(*map(np.stack, latents)))


def _person(survey: list[_Clip], data: Data) -> str:
  """The person whose frames there are. Raises InputError unless it is one."""
  people = sorted({clip.subject for clip in survey if len(clip.frames)})
  if len(people) != 1:
    raise InputError(
      f'got people with frames {people} in {data.records}, expected one; set '
      'config.data.subject (or prepare with frames)'
    )
  return people[0]


def _known_of(
  person: str, people: Mapping[str, Mapping[str, Any]], survey: list[_Clip]
) -> Mapping[str, Any]:
  """The fields of io.workdir.About that the renderings of a person need."""
  mean = np.mean([clip.identity for clip in survey], 0).astype(float).tolist()
  return people.get(person, {'identity': mean})


def _encoder(settings: Settings) -> latents.Encoder | None:
  """What gives z_gm of a clip; None where the portrait takes none."""
  if settings.model['zgm_injection'] == 'none':
    return None
  if not settings.data.expression_workdir:
    raise InputError(
      'got no config.data.expression_workdir, expected a trained expression stage or a talker; '
      "set it, or config.model.zgm_injection='none'"
    )
  return latents.Encoder.of(settings.data.expression_workdir)


def _assets(settings: Settings) -> dict[str, Any]:
  if not settings.loss['perceptual']:
    return {}
  return {'perceptual': perceptual.load(settings.data.vgg16)}
