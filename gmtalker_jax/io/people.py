"""A person as JSON: talker.json, people.json of records and the `About` of a workdir hold one.

identity  [I] numbers
texture   a PNG in base64, 8 bits; null or absent: the head's own colours
light     [9] or [9, 3] numbers; null or absent: the default light
eyes      [2, 3] numbers; null or absent: the head's own
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
from gmtalker_jax.face.person import Person

MOST_BYTES = 150_000  # of a texture in base64: a talker stays a file that one can mail

_LARGEST = 1024  # pixels of a texture's side; guards hostile files


def to_json(person: Person) -> dict[str, Any]:
  """Plain JSON values. The texture is rounded to 8 bits.

  Raises:
    InputError: a texture that takes more than MOST_BYTES.
  """
  values = {
    'identity': np.asarray(person.identity, np.float32).tolist(),
    'light': np.asarray(person.light, np.float32).tolist(),
  }
  if person.texture is not None:
    values['texture'] = _encode(np.asarray(person.texture))
  if person.eyes is not None:
    values['eyes'] = np.asarray(person.eyes, np.float32).tolist()
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
    person = dataclasses.replace(person, texture=_decode(values['texture']))
  return person


def _numbers(value: Any, what: str, most_axes: int) -> np.ndarray:
  try:
    with np.errstate(over='ignore'):  # what is too large becomes infinite, and is refused below
      array = np.asarray(value, np.float32)
  except (TypeError, ValueError, OverflowError):
    array = np.zeros(0, np.float32)
  if not 1 <= array.ndim <= most_axes or not array.size or not np.isfinite(array).all():
    raise InputError(f'got {what} {str(value)[:40]}, expected finite numbers; make the file again')
  return array


def _encode(texture: np.ndarray) -> str:
  pixels = np.round(np.clip(texture, 0, 1) * 255).astype(np.uint8)
  ok, png = cv2.imencode('.png', pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
  assert ok, 'a picture of bytes can be encoded'
  text = base64.b64encode(png.tobytes()).decode()
  if len(text) > MOST_BYTES:
    raise InputError(
      f'got a texture {list(pixels.shape)} of {len(text)} bytes, expected at most {MOST_BYTES}; '
      'make it smaller or smoother'
    )
  return text


def _decode(text: Any) -> np.ndarray:
  pixels = None
  if isinstance(text, str) and len(text) <= MOST_BYTES:
    with contextlib.suppress(ValueError, struct.error, cv2.error):
      png = base64.b64decode(text, validate=True)
      sides = struct.unpack('>II', png[16:24])  # of the header, before memory is spent
      if 2 <= min(sides) == max(sides) <= _LARGEST:
        pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
  if pixels is None:
    raise InputError(
      f'got a texture {str(text)[:20]!r}, expected a square PNG in base64; make the file again'
    )
  return pixels[..., ::-1].astype(np.float32) / 255
