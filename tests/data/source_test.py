"""Records go through the disk and come back; damage is seen."""

import io
import json
import pickle
import sys

import numpy as np
import pytest
import toy_records
from PIL import Image

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema, source, statistics
from gmtalker_jax.face.light import DEFAULT_LIGHT
from gmtalker_jax.face.person import Person
from gmtalker_jax.io import people


@pytest.fixture(scope='module')
def records(tmp_path_factory):
  out = tmp_path_factory.mktemp('data')
  toy_records.write(out, train=9, test=3, size=32, per_shard=5)
  return out


def by_id(opened):
  return {opened[i]['id']: opened[i] for i in range(len(opened))}


@pytest.mark.parametrize('per_shard', [None, 3])
def test_every_field_comes_back(tmp_path, per_shard):
  toy_records.write(tmp_path, train=7, test=3, size=16, per_shard=per_shard)
  opened = by_id(source.open_records(tmp_path, 'train'))
  assert len(opened) == 7
  for i in range(7):
    wrote = toy_records.record(i, 16)
    read = opened[wrote['id']]
    for name, field in schema.RECORD.items():
      if field.dtype in ('jpeg', 'png'):
        assert name not in read
      elif field.dtype == 'text':
        assert read[name] == wrote[name]
      else:
        assert read[name].dtype == np.dtype(field.dtype)
        np.testing.assert_array_equal(read[name], np.asarray(wrote[name], field.dtype))
  assert 'tensorflow' not in sys.modules


def test_pictures_come_encoded_and_on_request_only(records):
  opened = by_id(source.open_records(records, 'train', with_frames=True))
  with_pictures, without = opened['clip000'], opened['clip001']
  length = len(with_pictures['expression'])
  wrote = toy_records.record(0, 32)
  for name in ('frames', 'renderings'):
    assert with_pictures[name] == wrote[name]
    assert len(with_pictures[name]) == length
    assert without[name] == []
  picture = source.decode(with_pictures['renderings'][5])
  assert (picture.shape, picture.dtype) == ((32, 32, 3), np.uint8)
  np.testing.assert_array_equal(picture, Image.open(io.BytesIO(wrote['renderings'][5])))
  with pytest.raises(InputError, match='cannot be decoded'):
    source.decode(b'no picture')


def test_statistics_are_of_the_training_split(records):
  expected = statistics.fit([toy_records.record(i) for i in range(9)])
  found = source.open_records(records, 'test').statistics
  np.testing.assert_allclose(found.motion.mean, expected.motion.mean, rtol=1e-6)
  assert source.open_records(records, 'test').subjects == toy_records.PEOPLE


def test_people_come_as_they_were_written_or_are_none(records, tmp_path):
  assert source.open_records(records, 'train').people == {}
  ann = Person(np.ones(80, np.float32), np.full((256, 256, 3), 0.2, np.float32), DEFAULT_LIGHT)
  toy_records.write(tmp_path, train=3, test=1, people={'ann': ann})
  found = source.open_records(tmp_path, 'train').people
  assert list(found) == ['ann']
  again = people.from_json(found['ann'])
  np.testing.assert_array_equal(again.texture, ann.texture)
  (tmp_path / 'records' / source.PEOPLE).write_text('{')
  with pytest.raises(InputError, match='unreadable'):
    source.open_records(tmp_path, 'train').people  # noqa: B018


def test_a_source_survives_pickling(records):
  opened = source.open_records(records, 'train')
  first = opened[0]
  copied = pickle.loads(pickle.dumps(opened))
  assert copied[0]['id'] == first['id']
  assert len(copied) == len(opened)


def test_fingerprints_tell_splits_and_data_apart(records, tmp_path):
  train = source.open_records(records, 'train').fingerprint
  assert train == source.open_records(records / 'records', 'train').fingerprint
  assert train != source.open_records(records, 'test').fingerprint
  toy_records.write(tmp_path, train=8, test=3)
  assert train != source.open_records(tmp_path, 'train').fingerprint


def shard(directory):
  return sorted((directory / 'records').glob('*train*'))[-1]


@pytest.mark.parametrize('damage', ['truncated', 'empty', 'flipped', 'missing'])
def test_a_damaged_shard_is_named(tmp_path, damage):
  toy_records.write(tmp_path, train=5, test=2, size=16, per_shard=3)
  path = shard(tmp_path)
  data = bytearray(path.read_bytes())
  if damage == 'missing':
    path.unlink()
  else:
    data[len(data) // 3] ^= 1
    path.write_bytes({'truncated': data[: len(data) // 2], 'empty': b'', 'flipped': data}[damage])
  with pytest.raises(InputError, match=path.name):
    source.open_records(tmp_path, 'train')
  source.open_records(tmp_path, 'test')  # the other split is whole


def test_wrong_places_and_splits_are_named(records, tmp_path):
  with pytest.raises(InputError, match=r"expected one of \['test', 'train'\]"):
    source.open_records(records, 'tests')
  with pytest.raises(InputError, match='expected a directory that `gmtalker prepare` wrote'):
    source.open_records(tmp_path / 'nothing', 'train')
  (tmp_path / 'manifest.json').write_text(json.dumps({})[:-1])
  with pytest.raises(InputError, match='unreadable'):
    source.open_records(tmp_path, 'train')
