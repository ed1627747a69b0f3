"""What is measured: a talker, held-out records, and what the talker makes of them.

Nothing is opened or generated before it is first asked for, and everything only once, so metrics
share what they have in common. What several themes need is a property of `Study`; what one theme
needs is a function of a study in the theme's own file, under `@part`.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from gmtalker_jax import speech
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import emotion as emotions
from gmtalker_jax.data import source
from gmtalker_jax.inference import speak
from gmtalker_jax.inference.talker import Talker

Record = Mapping[str, Any]
Records = Sequence[Record]
Value = TypeVar('Value')


@dataclasses.dataclass(eq=False)
class Study:
  """The input of every metric.

  Attributes:
    talker: who.
    records: clips with emotion labels; 'train' fits the classifier and the baselines; None leaves
      out what needs labels.
    motion_records: for motion diversity; default `records`.
    portrait_records: with frames of the talker's person; None leaves out what needs them.
    clips: at most so many held-out clips, evenly spread.
    seeds: of head motion for one sound.
    progress: is told what is measured now.
    watch: is given the name of a part of that and what it goes through, and passes it on.

  The properties raise InputError for records of another speech encoder, or for too few.
  """

  talker: Talker
  records: str | None
  motion_records: str | None = None
  portrait_records: str | None = None
  clips: int = 48
  seeds: int = 10
  progress: Callable[[str], None] = lambda what: None
  watch: Callable[[str, Sequence], Iterable] = lambda what, items: items
  parts: dict[Callable, Any] = dataclasses.field(default_factory=dict, repr=False)

  @functools.cached_property
  def train(self) -> Records:
    """Training records, in memory."""
    return self._open(self._labelled, 'train')

  @functools.cached_property
  def test(self) -> Records:
    """Held-out records, in memory, sorted by id."""
    return self._open(self._labelled, 'test', self.clips)

  @functools.cached_property
  def moving(self) -> Records:
    """Held-out records whose head motion is measured."""
    if self.motion_records is None:
      return self.test
    return self._open(self.motion_records, 'test', self.clips)

  @functools.cached_property
  def heard(self) -> tuple[Records, Records]:
    """Clips in which sound and face go together, for training and held out.

    They are `train` and `test`; without `records` what the talker's person says in
    `portrait_records`.
    """
    if self.records is not None:
      return self.train, self.test
    return self.own

  @functools.cached_property
  def own(self) -> tuple[Records, Records]:
    """Clips of the talker's person, for training and held out, without their pictures."""
    return self._own('train'), self._own('test', self.clips)

  @functools.cached_property
  def generated(self) -> list[np.ndarray]:
    """The talker's expression [T, E] for the sound and the emotion of each held-out clip."""
    return [self.express(record, record['speech'], i) for i, record in enumerate(self.heard[1])]

  def counts(self) -> dict[str, int]:
    """How many clips and seeds the numbers rest on; without `records`, of `heard`."""
    if self.records is None:
      return {'train': len(self.heard[0]), 'test': len(self.heard[1])}
    return {
      'train': len(self.train),
      'test': len(self.test),
      'motion': len(self.moving),
      'seeds': self.seeds,
    }

  def express(self, record: Record, rows: np.ndarray, seed: int) -> np.ndarray:
    """Speech rows [2T, D] -> expression [T, E] in the emotion of a record, as labelled."""
    emotion = emotions.to_measure(record)
    return self.generate(record, rows, np.tile(emotion, (len(record['expression']), 1)), seed)

  def generate(
    self, record: Record, rows: np.ndarray, emotion: np.ndarray, seed: int
  ) -> np.ndarray:
    """The served path in the manner of the person on a record: [2T, D], [T, K] -> [T, E]."""
    talker = self.talker._replace(subject=record['subject'])
    return speak.generate_expression(talker, np.asarray(rows, np.float32), emotion, seed)[0]

  @property
  def _labelled(self) -> str:
    assert self.records is not None, 'see Metric.needs'
    return self.records

  def _own(self, split: str, limit: int | None = None) -> Records:
    """Of the talker's person, who may have one held-out clip only."""
    assert self.portrait_records is not None, 'see Metric.needs'
    return self._open(self.portrait_records, split, limit, self.talker.subject, least=1)

  def _open(
    self, directory: str, split: str, limit: int | None = None, subject: str = '', least: int = 2
  ) -> Records:
    opened = source.open_records(directory, split)
    records = sorted((opened[i] for i in range(len(opened))), key=lambda r: r['id'])
    if subject:
      records = [record for record in records if record['subject'] == subject]
    if limit and len(records) > limit:
      records = [records[i] for i in np.linspace(0, len(records) - 1, limit).round().astype(int)]
    if len(records) < least:
      whose = f' of {subject!r}' if subject else ''
      raise InputError(
        f'got {len(records)} clips{whose} in {split!r} of {directory!r}, expected {least} or more'
      )
    encoder, wanted = records[0]['speech_encoder'], self.talker.speech_encoder
    if not speech.same(encoder, wanted):
      raise InputError(
        f'got records on {encoder!r}, expected {wanted!r} as the talker; prepare again'
      )
    return records


def part(compute: Callable[[Study], Value]) -> Callable[[Study], Value]:
  """Decorates a function of a study: its value is computed when first asked for, then kept."""

  @functools.wraps(compute)
  def once(study: Study) -> Value:
    if compute not in study.parts:
      study.parts[compute] = compute(study)
    return study.parts[compute]

  return once
