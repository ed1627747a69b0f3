"""A person as JSON: talker.json, people.json of records and the `About` of a workdir hold one.

identity  [I] numbers
texture   a PNG in base64, 8 bits; null or absent: the head's own colours
light     [9] or [9, 3] numbers; null or absent: the default light
eyes      [2, 3] numbers; null or absent: the head's own
bust      picture: a PNG with alpha, as above; follows: [7, 8] numbers; null or absent: none
iris      a number; null or absent: the head's own
displacement  [V, 3] float16, little-endian, in base64; null or absent: none
"""

import base64
import contextlib
import dataclasses
import struct
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.face.bust import Bust
from gmtalker_jax.face.person import Person

MOST_BYTES = 150_000  # of a picture in base64: a talker stays a file that one can mail

_LARGEST = 1024  # pixels of a picture's side; guards hostile files
_READ = {3: cv2.IMREAD_COLOR, 4: cv2.IMREAD_UNCHANGED}  # channels: how


def to_json(person: Person) -> dict[str, Any]:
  """Plain JSON values. Pictures are rounded to 8 bits.

  Raises:
    InputError: a picture that takes more than MOST_BYTES.
  """
  values = {
    'identity': np.asarray(person.identity, np.float32).tolist(),
    'light': np.asarray(person.light, np.float32).tolist(),
  }
  if person.texture is not None:
    values['texture'] = _encode(person.texture, 'texture')
  if person.eyes is not None:
    values['eyes'] = np.asarray(person.eyes, np.float32).tolist()
  if person.bust is not None:
    follows = np.asarray(person.bust.follows, np.float32).tolist()
    values['bust'] = {'picture': _encode(person.bust.picture, 'bust'), 'follows': follows}
  if person.iris is not None:
    values['iris'] = float(person.iris)
  if person.displacement is not None:
    halves = np.asarray(person.displacement, '<f2').tobytes()
    values['displacement'] = base64.b64encode(halves).decode()
  return values


def from_json(values: Mapping[str, Any]) -> Person:
  """The inverse of `to_json`; other keys are left alone.

  Raises:
    InputError: no identity, or a value that is not as the module's docstring says.
  """
  person = Person.plain(_numbers(values.get('identity'), 'identity', 1))
  if values.get('light') is not None:
    light = _numbers(values['light'], 'light', 2)
    if light.shape not in ((9,), (9, 3)):
      raise InputError(f'got a light {list(light.shape)}, expected [9] or [9, 3]; make it again')
    person = dataclasses.replace(person, light=light)
  if values.get('eyes') is not None:
    eyes = _numbers(values['eyes'], 'eyes', 2)
    if eyes.shape != (2, 3):
      raise InputError(f'got eyes {list(eyes.shape)}, expected [2, 3]; make it again')
    person = dataclasses.replace(person, eyes=eyes)
  if values.get('texture') is not None:
    person = dataclasses.replace(person, texture=_decode(values['texture'], 'texture', 3))
  if values.get('bust') is not None:
    person = dataclasses.replace(person, bust=_bust(values['bust']))
  if values.get('iris') is not None:
    iris = values['iris']
    if not isinstance(iris, float) or not 0 < iris < 1:
      raise InputError(f'got an iris {str(iris)[:20]!r}, expected 0 < iris < 1; make it again')
    person = dataclasses.replace(person, iris=iris)
  if values.get('displacement') is not None:
    person = dataclasses.replace(person, displacement=_displacement(values['displacement']))
  return person


def _bust(values: Any) -> Bust:
  if not isinstance(values, Mapping):
    raise InputError(f'got a bust {str(values)[:20]!r}, expected a picture and what it follows')
  follows = _numbers(values.get('follows'), 'follows of the bust', 2)
  if follows.shape != (7, 8):
    raise InputError(f'got follows {list(follows.shape)} of the bust, expected [7, 8]')
  return Bust(_decode(values.get('picture'), 'bust', 4), follows)


def _displacement(text: Any) -> np.ndarray:
  halves = np.zeros(0, '<f2')
  if isinstance(text, str) and len(text) <= MOST_BYTES:
    with contextlib.suppress(ValueError):
      halves = np.frombuffer(base64.b64decode(text, validate=True), '<f2')
  if not len(halves) or len(halves) % 3 or not np.isfinite(halves).all():
    raise InputError(
      f'got a displacement {str(text)[:20]!r}, expected [V, 3] finite float16 in base64; make the '
      'file again'
    )
  return halves.reshape(-1, 3).astype(np.float32)


def _numbers(value: Any, what: str, most_axes: int) -> np.ndarray:
  try:
    with np.errstate(over='ignore'):  # what is too large becomes infinite, and is refused below
      array = np.asarray(value, np.float32)
  except (TypeError, ValueError, OverflowError):
    array = np.zeros(0, np.float32)
  if not 1 <= array.ndim <= most_axes or not array.size or not np.isfinite(array).all():
    raise InputError(f'got {what} {str(value)[:40]}, expected finite numbers; make the file again')
  return array


def _encode(picture: Any, what: str) -> str:
  pixels = np.round(np.clip(np.asarray(picture), 0, 1) * 255).astype(np.uint8)
  ok, png = cv2.imencode('.png', _swapped(pixels), [cv2.IMWRITE_PNG_COMPRESSION, 9])
  assert ok, 'a picture of bytes can be encoded'
  text = base64.b64encode(png.tobytes()).decode()
  if len(text) > MOST_BYTES:
    raise InputError(
      f'got a {what} {list(pixels.shape)} of {len(text)} bytes, expected at most {MOST_BYTES}; '
      'make it smaller or smoother'
    )
  return text


def _decode(text: Any, what: str, channels: int) -> np.ndarray:
  pixels = None
  if isinstance(text, str) and len(text) <= MOST_BYTES:
    with contextlib.suppress(ValueError, struct.error, cv2.error):
      png = base64.b64decode(text, validate=True)
      sides = struct.unpack('>II', png[16:24])  # of the header, before memory is spent
      if 2 <= min(sides) == max(sides) <= _LARGEST:
        pixels = cv2.imdecode(np.frombuffer(png, np.uint8), _READ[channels])
  if pixels is None or pixels.dtype != np.uint8 or pixels.shape[2:] != (channels,):
    raise InputError(
      f'got a {what} {str(text)[:20]!r}, expected a square PNG in base64; make the file again'
    )
  return _swapped(pixels).astype(np.float32) / 255


def _swapped(pixels: np.ndarray) -> np.ndarray:
  """Red and blue change places, as OpenCV has them; alpha stays."""
  return np.concatenate([pixels[..., 2::-1], pixels[..., 3:]], -1)
