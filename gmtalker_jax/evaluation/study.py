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
from gmtalker_jax.evaluation.protocols import Protocol
from gmtalker_jax.inference import speak
from gmtalker_jax.inference.talker import Talker
from gmtalker_jax.io import judges

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
    protocol: which held-out clips, how many seeds of head motion for one sound, which judges.
    progress: is told what is measured now.
    watch: is given the name of a part of that and what it goes through, and passes it on.

  The properties raise InputError for records of another speech encoder, or for too few.
  """

  talker: Talker
  records: str | None
  motion_records: str | None = None
  portrait_records: str | None = None
  protocol: Protocol = dataclasses.field(default_factory=Protocol)
  progress: Callable[[str], None] = lambda what: None
  watch: Callable[[str, Sequence], Iterable] = lambda what, items: items
  parts: dict[Callable, Any] = dataclasses.field(default_factory=dict, repr=False)

  @functools.cached_property
  def train(self) -> Records:
    """Training records, in memory."""
    return self._open('records', self._labelled, 'train')

  @functools.cached_property
  def test(self) -> Records:
    """Held-out records, in memory, sorted by id."""
    return self._open('records', self._labelled, 'test')

  @functools.cached_property
  def moving(self) -> Records:
    """Held-out records whose head motion is measured."""
    if self.motion_records is None:
      return self.test
    return self._open('motion_records', self.motion_records, 'test')

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
    return self._own('train'), self._own('test')

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
      'seeds': self.protocol.seeds,
    }

  @functools.cached_property
  def filmed(self) -> frozenset[str]:
    """Ids of the held-out clips of `own`, of whose pictures all that is measured comes."""
    return frozenset(record['id'] for record in self.own[1])

  def resolved(self) -> Protocol:
    """The protocol with every clip by name and the digest of every judge that is here."""
    opened = {
      'records': lambda: self.test,
      'motion_records': lambda: self.moving,
      'portrait_records': lambda: self.own[1],
    }
    clips = {role: [record['id'] for record in read()]
             for role, read in opened.items() if getattr(self, role) is not None}  # fmt: skip
    return dataclasses.replace(self.protocol, clips=clips, judges=judges.digests())

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

  def _own(self, split: str) -> Records:
    """Of the talker's person, who may have one held-out clip only."""
    assert self.portrait_records is not None, 'see Metric.needs'
    return self._open('portrait_records', self.portrait_records, split, self.talker.subject, 1)

  def _open(
    self, role: str, directory: str, split: str, subject: str = '', least: int = 2
  ) -> Records:
    opened = source.open_records(directory, split)
    records = sorted((opened[i] for i in range(len(opened))), key=lambda r: r['id'])
    if subject:
      records = [record for record in records if record['subject'] == subject]
    if split == 'test' and records:
      records = self.protocol.select(role, records)
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
