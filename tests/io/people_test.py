import base64
import dataclasses
import json

import cv2
import numpy as np
import pytest

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.face.bust import Bust
from gmtalker_jax.face.light import DEFAULT_LIGHT
from gmtalker_jax.face.person import Person
from gmtalker_jax.io import people, workdir

RNG = np.random.default_rng(0)
IDENTITY = RNG.normal(size=80).astype(np.float32)


def texture(size):
  small = RNG.uniform(0, 1, (8, 8, 3)).astype(np.float32)
  return np.round(cv2.resize(small, (size, size)).clip(0, 1) * 255).astype(np.float32) / 255


@pytest.mark.parametrize('light', [DEFAULT_LIGHT, RNG.normal(size=(9, 3)).astype(np.float32)])
@pytest.mark.parametrize('size', [None, 256])
def test_a_person_goes_through_json_and_comes_back(light, size):
  person = Person(IDENTITY, None if size is None else texture(size), light)
  again = people.from_json(json.loads(json.dumps(people.to_json(person))))
  np.testing.assert_array_equal(again.identity, IDENTITY)
  np.testing.assert_array_equal(again.light, light)
  if size is None:
    assert again.texture is None
  else:
    np.testing.assert_array_equal(again.texture, person.texture)
    assert again.texture.dtype == np.float32


def test_shoulders_go_through_json_and_come_back():
  picture = np.concatenate([texture(64), texture(64)[..., :1]], -1)
  bust = Bust(picture, RNG.normal(size=(7, 8)).astype(np.float32))
  person = Person(IDENTITY, None, DEFAULT_LIGHT, bust=bust)
  again = people.from_json(json.loads(json.dumps(people.to_json(person)))).bust
  np.testing.assert_array_equal(again.picture, picture)
  np.testing.assert_array_equal(again.follows, bust.follows)


def test_a_workdir_holds_all_that_is_known_of_a_person():
  picture = np.concatenate([texture(64), texture(64)[..., :1]], -1)
  bust, eyes = Bust(picture, np.zeros((7, 8), np.float32)), np.full((2, 3), 0.5, np.float32)
  shift = RNG.normal(0, 0.01, (9, 3)).astype(np.float16).astype(np.float32)
  values = people.to_json(Person(IDENTITY, texture(64), DEFAULT_LIGHT, eyes, bust, shift, 0.35))
  assert set(values) == {field.name for field in dataclasses.fields(Person)}
  about = workdir.About('portrait', {}, {}, (), (), 'arkit', 'logmel', **values)
  again = people.to_json(people.from_json(about._asdict()))
  assert again == values
  person = people.from_json(json.loads(json.dumps(values)))
  np.testing.assert_array_equal(person.displacement, shift)
  assert person.iris == 0.35


def test_an_identity_alone_is_a_plain_person():
  for values in ({}, {'texture': None, 'light': None, 'subject': 'me'}):
    person = people.from_json({'identity': IDENTITY.tolist(), **values})
    assert person.texture is None
    assert person.bust is None
    np.testing.assert_array_equal(person.light, DEFAULT_LIGHT)


def test_a_texture_too_large_for_a_talker_is_refused():
  noise = Person(IDENTITY, RNG.uniform(0, 1, (256, 256, 3)).astype(np.float32), DEFAULT_LIGHT)
  with pytest.raises(InputError, match='expected at most 150000'):
    people.to_json(noise)


def png(*shape):
  return base64.b64encode(cv2.imencode('.png', np.zeros(shape, np.uint8))[1]).decode()


@pytest.mark.parametrize(
  ('values', 'match'),
  [
    ({'identity': None}, 'got identity None'),
    ({'identity': ['a']}, 'finite numbers'),
    ({'identity': [float('nan')]}, 'finite numbers'),
    ({'identity': [[1.0]]}, 'finite numbers'),
    ({'light': [1.0] * 8}, r'got a light \[8\]'),
    ({'bust': 'mine'}, "got a bust 'mine'"),
    ({'bust': {'picture': png(8, 8, 4)}}, 'got follows of the bust None'),
    ({'bust': {'picture': png(8, 8, 4), 'follows': [[0.0] * 8] * 6}}, r'got follows \[6, 8\]'),
    ({'bust': {'picture': png(8, 8, 3), 'follows': [[0.0] * 8] * 7}}, 'got a bust'),
    ({'iris': 2.0}, 'got an iris'),
    ({'iris': 'mine'}, 'got an iris'),
    ({'displacement': 'no base64!'}, 'got a displacement'),
    ({'displacement': base64.b64encode(b'four').decode()}, 'got a displacement'),
    ({'displacement': base64.b64encode(b'\x00\x7c' * 3).decode()}, 'finite float16'),
    ({'displacement': [0.0]}, 'got a displacement'),
    ({'texture': 'no base64!'}, 'square PNG'),
    ({'texture': base64.b64encode(b'no picture').decode()}, 'square PNG'),
    ({'texture': png(8, 9, 3)}, 'square PNG'),
    ({'texture': png(2048, 2048, 3)}, 'square PNG'),
    ({'texture': png(8, 8, 3)[:-60]}, 'square PNG'),
    ({'texture': 3}, 'square PNG'),
  ],
)
def test_values_that_are_no_person_are_one_line(values, match):
  with pytest.raises(InputError, match=match) as caught:
    people.from_json({'identity': [0.0], **values})
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize('number', [1e300, 10**400])
def test_a_number_beyond_float32_is_one_line(number):
  with pytest.raises(InputError, match='expected finite numbers'):
    people.from_json({'identity': [number]})
