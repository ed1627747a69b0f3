import json

import numpy as np
import pytest
import toy_records

from data_pipelines import build
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import source


def write(out, records, **splits):
  return build.write_records({'train': records, **splits}, out, 'toy')


def leftovers(out):
  return [p.name for p in out.iterdir() if p.name != 'records']


def changed(**fields):
  return {**toy_records.record(1), **fields}


@pytest.mark.parametrize(
  ('record', 'message'),
  [
    (changed(speech=np.zeros((3, 6), np.float16)), '3 rows of speech, expected 30'),
    (changed(motion=np.zeros((15, 6), np.float32)), r'motion of width \(6,\), expected \(12,\)'),
    (changed(expression=np.full((15, 50), np.nan)), 'expression that is not finite'),
    (changed(emotion='joyful'), "emotion 'joyful', expected one of"),
    (changed(layout='flame'), "layout 'flame', expected one of"),
    (changed(frames=[b'x'] * 3), '3 frames and 0 renderings'),
    ({'id': 'x'}, 'fields missing'),
    (toy_records.record(0), 'same id'),
  ],
)
def test_a_record_that_breaks_the_contract_leaves_nothing(tmp_path, record, message):
  with pytest.raises(InputError, match=message):
    write(tmp_path, [toy_records.record(0), record])
  assert not list(tmp_path.iterdir())


def test_an_interrupted_build_keeps_the_old_records(tmp_path):
  write(tmp_path, [toy_records.record(0)])
  before = source.open_records(tmp_path, 'train').fingerprint

  def broken():
    yield toy_records.record(1)
    raise RuntimeError('the camera fell')

  with pytest.raises(RuntimeError, match='camera'):
    write(tmp_path, broken())
  assert source.open_records(tmp_path, 'train').fingerprint == before
  assert not leftovers(tmp_path)
  write(tmp_path, [toy_records.record(1), toy_records.record(2)])
  assert len(source.open_records(tmp_path, 'train')) == 2
  assert not leftovers(tmp_path)


def test_the_same_records_give_the_same_shards(tmp_path):
  for name in 'ab':
    toy_records.write(tmp_path / name, train=6, test=2, size=16)
  files = [json.loads((tmp_path / n / 'records/manifest.json').read_text()) for n in 'ab']
  assert files[0] == files[1]


def test_no_training_record_is_an_error_and_no_test_record_is_not(tmp_path):
  with pytest.raises(InputError, match="no record in the split 'train'"):
    write(tmp_path, [], test=[toy_records.record(0)])
  write(tmp_path, [toy_records.record(0)], test=iter([]))
  with pytest.raises(InputError, match=r"split 'test' .* expected one of \['train'\]"):
    source.open_records(tmp_path, 'test')


def test_records_are_taken_one_at_a_time(tmp_path):
  alive = []

  def stream():
    for i in range(5):
      alive.append(i)
      yield toy_records.record(i)

  path = write(tmp_path, stream())
  assert alive == list(range(5))
  assert len(source.open_records(path, 'train')) == 5
