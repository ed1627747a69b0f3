"""Where in a portrait's picture what is: the projected landmarks of the head that was rendered."""

from collections.abc import Mapping
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax.face import camera as cameras
from gmtalker_jax.face import landmarks as names
from gmtalker_jax.face import morphable
from gmtalker_jax.face.render import posed
from gmtalker_jax.types import Coefficients

_ROOM = 0.04  # around what moves, in widths of the picture


def landmarks(head, shape, record: Mapping[str, Any], frames: np.ndarray, size: int) -> np.ndarray:
  """Pixels [N, 478, 2] of the landmarks in some frames of a record; `shape` [I] is the identity."""
  some = Coefficients(
    jnp.asarray(record['expression'][frames]), jnp.asarray(record['motion'][frames])
  )
  return np.asarray(_projected(head, jnp.asarray(shape), some, size))


@jax.jit(static_argnames='size')
def _projected(head, shape: jax.Array, some: Coefficients, size: int) -> jax.Array:
  points = morphable.landmarks(head, posed(head, shape, some))
  return jax.vmap(lambda p: cameras.project(cameras.DEFAULT, p, size))(points)[..., :2]


def still(points: np.ndarray, size: int) -> np.ndarray:
  """bool [N, size, size]: outside the mouth, the brows and the eyes of landmarks [N, 478, 2]."""
  sides = zip(names.EYELIDS, names.BROWS, strict=True)
  moving = [names.OUTER_LIPS, *(ring + lower + upper for ring, (lower, upper) in sides)]
  room = 2 * round(_ROOM * size) + 1
  kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (room, room))
  masks = []
  for frame in points:
    mask = np.zeros((size, size), np.uint8)
    for part in moving:
      hull = cv2.convexHull(np.round(frame[list(part)]).astype(np.int32))
      cv2.fillConvexPoly(mask, hull, 1)
    masks.append(cv2.dilate(mask, kernel) == 0)
  return np.stack(masks)
