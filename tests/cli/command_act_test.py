"""`gmtalker act`: clips of one mood become records of all, for a face and for a painter."""

import dataclasses

import numpy as np
import pytest
import tiny_records

from data_pipelines import build
from gmtalker_jax import speech
from gmtalker_jax.cli.main import main
from gmtalker_jax.data import schema, source
from gmtalker_jax.face.person import Person
from gmtalker_jax.inference import talker

FRAMES, SIZE = 9, 48
ACTED = set(schema.EMOTIONS) - {'neutral'}


@pytest.fixture(scope='module')
def clip():
  """A clip of somebody in no mood, with pictures."""
  encoder = talker.load('builtin').speech_encoder
  heard = speech.open(encoder).identity
  rng = np.random.default_rng(0)
  made = tiny_records.record(rng, 'train', 0, encoder, FRAMES, SIZE)
  return made | {'emotion': '', 'level': 0, 'speech_encoder': heard}


def write(folder, clip, people=None):
  splits = {'train': [clip], 'test': [clip | {'id': 'held_out'}]}
  return str(build.write_records(splits, folder, 'person', people=people or {}))


def read(folder, split='train'):
  opened = source.open_records(folder, split, with_frames=True)
  return [opened[i] for i in range(len(opened))]


def test_a_painter_gets_each_frame_as_filmed_and_acted(tmp_path, clip):
  person = dataclasses.replace(Person.plain(np.zeros(80, np.float32)), light=np.full(9, 0.3))
  records = write(tmp_path / 'records', clip, {clip['subject']: person})
  assert main(['act', '--records', records, '--out', str(tmp_path / 'out'), '--pictures']) == 0
  filmed, *acted = read(tmp_path / 'out')
  assert filmed['frames'] == clip['frames']
  assert {record['emotion'] for record in acted} == ACTED
  assert sum(len(record['frames']) for record in acted) == FRAMES
  for record in acted:
    for picture in (*record['frames'], *record['renderings']):
      assert source.decode(picture).shape == (SIZE, SIZE, 3)
  assert len(read(tmp_path / 'out', 'test')[0]['frames']) == FRAMES
  people = source.open_records(tmp_path / 'out', 'train').people
  np.testing.assert_allclose(people[clip['subject']]['light'], person.light, rtol=1e-6)


def test_a_face_gets_whole_clips_without_pictures(tmp_path, clip):
  records = write(tmp_path / 'records', clip)
  assert main(['act', '--records', records, '--out', str(tmp_path / 'out')]) == 0
  found = read(tmp_path / 'out')
  assert {record['emotion'] for record in found} == set(schema.EMOTIONS)
  assert {len(record['expression']) for record in found} == {FRAMES}
  assert not any(record['frames'] for record in found + read(tmp_path / 'out', 'test'))


@pytest.mark.parametrize(
  ('flags', 'message'),
  [
    (['--pictures'], 'got no pictures in'),
    (['--strength', '4'], 'got --strength 4, expected more than 0 and at most 3'),
  ],
)
def test_what_cannot_be_acted_is_said_and_leaves_nothing(tmp_path, clip, capsys, flags, message):
  records = write(tmp_path / 'records', clip | {'frames': [], 'renderings': []})
  assert main(['act', '--records', records, '--out', str(tmp_path / 'out'), *flags]) == 2
  assert message in capsys.readouterr().err
  assert not list((tmp_path / 'out').glob('*'))
