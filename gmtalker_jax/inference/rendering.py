"""Recorded coefficients on any head, and beside them what a trained generator makes of the clip."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gmtalker_jax import speech
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import emotion as emotions
from gmtalker_jax.face.model import FaceModel
from gmtalker_jax.face.person import Person
from gmtalker_jax.face.render import render_frames
from gmtalker_jax.inference import speak
from gmtalker_jax.inference.talker import generator_of
from gmtalker_jax.io import workdir as workdirs
from gmtalker_jax.types import Coefficients


class Show:
  """Record -> T frames uint8 [H, W, 3] of a head; twice as wide with a trained generator."""

  def __init__(self, model: FaceModel, workdir: str | None, size: int, seed: int):
    """`workdir` is of an expression stage. Raises InputError: it is not, or of another layout."""
    self._model, self._size, self._seed = model, size, seed
    self._trained = workdirs.read_inference(workdir) if workdir else None
    if self._trained is None:
      return
    about = self._trained.about
    self._generator = generator_of('expression', self._trained, str(workdir))
    if about.layout != model.layout:
      raise InputError(
        f'got {workdir!r} of the layout {about.layout!r}, expected {model.layout!r} as the head'
      )

  def check(self, record: Mapping[str, Any]) -> None:
    """Raises InputError for a record of another layout, or of another speech encoder."""
    name = record['id']
    if record['layout'] != self._model.layout:
      raise InputError(
        f'got record {name!r} of the layout {record["layout"]!r}, expected '
        f'{self._model.layout!r} as the head; give another --head'
      )
    heard = self._trained and self._trained.about.speech_encoder
    if heard and not speech.same(record['speech_encoder'], heard):
      raise InputError(
        f'got record {name!r} with speech features of {record["speech_encoder"]}, expected {heard} '
        'as the generator; prepare the records alike'
      )

  def __call__(self, record: Mapping[str, Any]) -> Iterator[np.ndarray]:
    """The frames of a record that `check` let through."""
    head, identity = self._model.head, np.asarray(record['identity'], np.float32)
    if len(identity) != len(head.identity):  # of another model of this layout: show the mean
      identity = np.zeros(len(head.identity), np.float32)
    shown = [np.asarray(record['expression'], np.float32)]
    if self._trained is not None:
      shown.append(self.generated(record))
    pictures = [
      render_frames(
        head,
        Person.plain(identity),
        Coefficients(expression, np.asarray(record['motion'], np.float32)),  # ty: ignore[invalid-argument-type]
        self._size,
        camera=self._model.camera,
      )
      for expression in shown
    ]
    yield from np.concatenate(pictures, 2)

  def generated(self, record: Mapping[str, Any]) -> np.ndarray:
    """Expression [T, E] that the generator draws for a record's sound, emotion and person."""
    assert self._trained is not None, 'asked of a show with a workdir'
    subjects = self._trained.about.subjects
    subject = subjects.index(record['subject']) if record['subject'] in subjects else -1
    weights = np.tile(emotions.to_measure(record), (len(record['motion']), 1))
    features = np.asarray(record['speech'], np.float32)
    drawn, _ = speak.sample_expression(self._generator, features, weights, self._seed, subject)
    bounded = self._model.layout == 'arkit'  # blendshapes; elsewhere numbers of either sign
    return np.clip(drawn, 0, 1) if bounded else drawn
