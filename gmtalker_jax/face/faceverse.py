"""FaceVerse v3: its coefficients, as its public tracker writes them, in our units.

A frame of it is [490] = 150 of identity, 52 of expression (ARKit's), 251 of texture, 3 angles, 27
of light, 3 of translation, 4 of gaze. Its tracker looks along +z with y down; so its x axis is
ours, and y and z point the other way.
"""

import dataclasses

import numpy as np

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.face import camera as cameras
from gmtalker_jax.face.camera import Camera
from gmtalker_jax.face.model import FaceModel
from gmtalker_jax.face.morphable import Head, split
from gmtalker_jax.face.person import Person
from gmtalker_jax.types import Coefficients

IDENTITY, EXPRESSION, TEXTURE = 150, len(schema.BLENDSHAPES), 251
WIDTH = 490
_PARTS = np.cumsum([IDENTITY, EXPRESSION, TEXTURE, 3, 27, 3, 4])
_FLIP = np.array([1, -1, -1], np.float32)
# The tracker renders under this light for everybody, not under the one that it fits.
LIGHT = np.array([0.9, -0.2, 0.2, 0, 0.1, 0, 0, 0, 0], np.float32)


def camera(unit: float) -> Camera:
  """The tracker's camera, for a model `unit` of its lengths wide."""
  return Camera(cameras.DEFAULT.focal, 10 / unit)


def read(model: FaceModel, coeff: np.ndarray) -> tuple[Head, Person, Coefficients]:
  """A clip's coefficients [T, 490] as a head with the person's colours, the person, the motion.

  Identity and texture are the clip's means. The tracker adds directions of identity to a mean that
  is turned to its axes without turning them, and negates two of them; the head that is returned
  does the same, so the shape is the one that was fitted.

  Raises:
    InputError: another shape, numbers that are not finite, or a model of another kind.
  """
  head, texture = model.head, model.texture
  if texture is None or len(texture) != TEXTURE or len(head.identity) != IDENTITY:
    raise InputError(f'got a head of the layout {model.layout!r}, expected FaceVerse v3')
  coeff = np.asarray(coeff, np.float32)
  if coeff.ndim != 2 or coeff.shape[1] != WIDTH or not len(coeff) or not np.isfinite(coeff).all():
    raise InputError(
      f'got coefficients {list(coeff.shape)}, expected finite [T, {WIDTH}] of FaceVerse v3'
    )
  identity, shown, painted, angles, _, shift, gaze = np.split(coeff, _PARTS[:-1], 1)
  expression, blinks = map(np.asarray, split(shown))  # ty: ignore[invalid-argument-type]
  turned = np.tile(_FLIP[:2], 2)  # a glance to the image's right is negative there
  motion = np.concatenate([angles * _FLIP, shift * _FLIP / model.unit, blinks, gaze * turned], 1)
  directions = np.array(head.identity) * _FLIP
  directions[1:3] *= -1
  albedo = np.asarray(head.albedo) + np.tensordot(painted.mean(0), texture, 1)
  head = dataclasses.replace(head, identity=directions, albedo=np.clip(albedo, 0, 1))
  return head, Person(identity.mean(0), None, LIGHT), Coefficients(expression, motion)  # ty: ignore[invalid-argument-type]
