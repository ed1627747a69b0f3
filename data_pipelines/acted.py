"""Photographs of somebody in an emotion that nobody filmed: their own, bent to the acted face.

The head that was fitted to a frame says where each point of the face is in the photograph, and
where it is when the expression is acted. So skin, brows, lids and lips are the person's, moved, and
darker or brighter as they turn in the person's light (expression ratio images, Liu et al. 2001):
moved alone, an angry brow has no furrow. What the frame did not show, such as the inside of a
closed mouth, comes from the rendering.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import cv2
import jax.numpy as jnp
import numpy as np

from gmtalker_jax.data import source
from gmtalker_jax.face import warp as warps
from gmtalker_jax.face.morphable import Head
from gmtalker_jax.face.person import Person
from gmtalker_jax.face.render import personal
from gmtalker_jax.types import Coefficients

from . import prepare, spooled

_REACH = 0.02  # of the picture: so far around the head its surroundings move with it
_FEATHER = 0.004  # of the picture: how softly the rendering joins the photograph
_SOFT = 0.006  # of the picture: shading is smoothed over so much
CREASE = 2.5  # power of the shading: at 1 judges see half of an anger (experiments/README.md)
_SHADES = 0.7, 1.03  # what is believed of the shading: lips' edges turn further, lids shine


def pictured(
  record: Mapping[str, Any],
  acted: Mapping[str, Any],
  head: Head,
  person: Person,
  crease: float = CREASE,
) -> dict[str, Any]:
  """Returns `acted` with photographs and renderings.

  Args:
    record: with photographs; its face as it was filmed.
    acted: the same frames with another expression.
    head: the model that `record` was fitted with.
    person: whom the renderings show.
    crease: power of the shading; 0 = the skin moves and keeps its brightness.
  """
  photographs = [source.decode(picture) for picture in record['frames']]
  renderings = prepare.rendered(acted, slice(None), len(photographs[0]), person)
  own = personal(head, dataclasses.replace(person, identity=record['identity']))
  bent, light = [], jnp.asarray(person.light)
  for number, (photograph, rendering) in enumerate(zip(photographs, renderings, strict=True)):
    before, after = (
      Coefficients(clip['expression'][number], clip['motion'][number]) for clip in (record, acted)
    )
    bent.append(
      bend(photograph, rendering, warps.warp(own, light, before, after, len(photograph)), crease)
    )
  return {
    **acted,
    'frames': list(map(spooled.jpeg, bent)),
    'renderings': list(map(prepare.png, renderings)),
  }


def bend(
  photograph: np.ndarray, rendering: np.ndarray, warp: warps.Warp, crease: float = CREASE
) -> np.ndarray:
  """A photograph uint8 [H, W, 3] after `warp`; what it does not show is taken from `rendering`."""
  source_at, head, seen, gain = map(np.asarray, warp)
  size = len(photograph)
  grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1).astype(np.float32)
  motion = np.where(head[..., None], source_at - 0.5 - grid, 0).astype(np.float32)
  place = grid + np.where(head[..., None], motion, _around(motion, head))
  moved = cv2.remap(
    photograph, place[..., 0], place[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
  )
  shade = _blurred(np.clip(gain, *_SHADES) ** crease, _SOFT).reshape(size, size, -1)
  moved = np.clip(moved * shade, 0, 255)
  hidden = _blurred((head & ~seen).astype(np.float32), _FEATHER)[..., None]
  return np.round(moved + hidden * (rendering.astype(np.float32) - moved)).astype(np.uint8)


def _around(motion: np.ndarray, head: np.ndarray) -> np.ndarray:
  """How the surroundings of a head move [H, W, 2]: as its edge does, less and less."""
  weight = head.astype(np.float32)
  edge = _blurred(motion, _REACH) / np.maximum(_blurred(weight, _REACH), 1e-3)[..., None]
  return edge * np.minimum(2 * _blurred(weight, 2 * _REACH), 1)[..., None]


def _blurred(picture: np.ndarray, radius: float) -> np.ndarray:
  return cv2.GaussianBlur(picture, (0, 0), radius * len(picture))
