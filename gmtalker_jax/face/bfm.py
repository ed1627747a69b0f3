"""The Basel face model in the form of Deep3DFaceRecon: its coefficients, camera and units.

A frame of it is `coeff` [257] = 80 of identity, 64 of expression, 80 of texture, 3 angles, 27 of
light, 3 of translation. Its rotation is ours (R = Rz Ry Rx, the same axes), and so are its
spherical harmonics; its length is `unit` of ours to a head width.
"""

import dataclasses

import numpy as np

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.face.camera import Camera
from gmtalker_jax.face.model import FaceModel
from gmtalker_jax.face.morphable import Head
from gmtalker_jax.face.person import Person
from gmtalker_jax.types import Coefficients

WIDTH = 257
_PARTS = np.cumsum([80, 64, 80, 3, 27, 3])
_AMBIENT = 0.8  # what its light is added to


def camera(unit: float) -> Camera:
  """The camera that its coefficients were fitted with, for a model `unit` lengths wide."""
  return Camera(1015 / 224, 10 / unit)


def read(model: FaceModel, coeff: np.ndarray) -> tuple[Head, Person, Coefficients]:
  """A clip's `coeff` [T, 257] as a head with the person's colours, the person, and the motion.

  Identity, texture and light are the clip's means.

  Raises:
    InputError: another shape, numbers that are not finite, or a model of another kind.
  """
  if model.layout != 'bfm' or model.texture is None:
    raise InputError(
      f'got a head of the layout {model.layout!r}, expected BFM for its coefficients'
    )
  coeff = np.asarray(coeff, np.float32)
  if coeff.ndim != 2 or coeff.shape[1] != WIDTH or not len(coeff) or not np.isfinite(coeff).all():
    raise InputError(
      f'got coeff {list(coeff.shape)}, expected finite [T, {WIDTH}] as Deep3DFaceRecon writes them'
    )
  identity, expression, texture, angles, light, shift = np.split(coeff, _PARTS[:-1], 1)
  motion = np.concatenate([angles, shift / model.unit], 1)
  harmonics = light.mean(0).reshape(3, 9).T.copy()
  harmonics[0] += _AMBIENT
  albedo = model.head.albedo + np.tensordot(texture.mean(0), model.texture, 1)
  head = dataclasses.replace(model.head, albedo=np.clip(albedo, 0, 1))
  person = Person(identity.mean(0), None, harmonics)
  return head, person, Coefficients(expression, motion)  # ty: ignore[invalid-argument-type]
