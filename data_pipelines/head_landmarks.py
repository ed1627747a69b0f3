"""Finds the 478 landmarks on a head by looking at pictures of it.

The face landmarker reads renderings in several poses, with the mouth closed and a little open;
every reading is traced to a point of the mesh, and the points are averaged on the mesh with the
mouth a little open, where the upper lip is never mistaken for the lower.
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax.core.arrays import to_bytes
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.face import camera, morphable, raster, render
from gmtalker_jax.face import landmarks as names
from gmtalker_jax.face.morphable import Head
from gmtalker_jax.face.person import Person

SIZE = 640
CAMERA = camera.Camera(focal=1.6 * camera.DEFAULT.focal)
JAWS, PITCHES, YAWS = (0.0, 0.08), (-0.15, 0.0, 0.15), (-0.3, -0.15, 0.0, 0.15, 0.3)
REFERENCE_JAW = 0.08


class View(NamedTuple):
  """A picture of the head and what each pixel shows."""

  picture: np.ndarray  # uint8 [S, S, 3]
  triangle: np.ndarray  # int32 [S, S]
  projected: np.ndarray  # [V, 3]


def nowhere() -> dict[str, np.ndarray]:
  """Landmarks not yet known: what a head must hold to be loaded."""
  return {
    'landmark_triangle': np.zeros(names.COUNT, np.int32),
    'landmark_barycentric': np.full((names.COUNT, 3), 1 / 3, np.float32),
  }


def embed(head: Head) -> dict[str, np.ndarray]:
  """Returns landmark_triangle [478] and landmark_barycentric [478, 3].

  Raises:
    InputError: no face is seen in the rendering.
  """
  from .landmarker import Landmarker  # a network of 3.7 MB; only this script pays

  landmarker = Landmarker()
  reference = np.asarray(_shape(head, REFERENCE_JAW))
  points, hits = np.zeros((names.COUNT, 3)), np.zeros((names.COUNT, 1))
  for jaw, pitch, yaw in itertools.product(JAWS, PITCHES, YAWS):
    view = look(head, _shape(head, jaw), jnp.array([pitch, yaw, 0.0]))
    landmarker.reset()
    face = landmarker.track(view.picture)
    if face is None:
      raise InputError('got a rendering without a face, expected one, check the albedo')
    traced, hit = _trace(head, view, face.landmarks[:, :2], reference)
    # A view from the side sees one half of the face: frontal views count more.
    points += np.where(hit[:, None], traced, 0) * np.exp(-((yaw / 0.2) ** 2))
    hits += hit[:, None] * np.exp(-((yaw / 0.2) ** 2))
  return _attach(head, reference, points / np.maximum(hits, 1e-9))


def look(head: Head, vertices: jax.Array, rotation: jax.Array) -> View:
  """Renders a shape [V, 3] turned by `rotation` [3]."""
  turned = morphable.move(vertices, rotation, jnp.array([0.0, 0.02, 0.0]))
  picture, triangle, projected = _draw(head, turned)
  return View(np.asarray(picture), np.asarray(triangle), np.asarray(projected))


@jax.jit
def _draw(head: Head, vertices: jax.Array):
  projected = camera.project(CAMERA, vertices, SIZE)
  anyone = Person.plain(jnp.zeros(len(head.identity)))
  rgb = render.draw(head, vertices, anyone, SIZE, CAMERA).rgb
  fragments = raster.rasterize(projected, head.triangles, SIZE)
  return to_bytes(rgb), fragments.triangle, projected


def _shape(head: Head, jaw: float) -> jax.Array:
  weights = np.zeros(len(schema.BLENDSHAPES), np.float32)
  weights[schema.BLENDSHAPES.index('jawOpen')] = jaw
  return morphable.vertices(head, jnp.zeros(len(head.identity)), jnp.asarray(weights), jnp.zeros(4))


def _trace(
  head: Head, view: View, landmarks: np.ndarray, reference: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Points [478, 3] of the reference shape under landmarks [478, 2] px, and which hit the head."""
  column, row = np.clip(np.floor(landmarks).astype(int), 0, SIZE - 1).T
  triangle = view.triangle[row, column]
  corners = np.asarray(head.triangles)[np.maximum(triangle, 0)]
  planes = np.concatenate([view.projected[corners][..., :2], np.ones((names.COUNT, 3, 1))], -1)
  target = np.concatenate([landmarks, np.ones((names.COUNT, 1))], -1)
  flat = abs(np.linalg.det(planes)) < 1e-6
  planes[flat] = np.eye(3)
  weights = np.linalg.solve(planes.swapaxes(1, 2), target[..., None])[..., 0]
  weights = np.clip(weights, 0, 1) / np.clip(weights, 0, 1).sum(1, keepdims=True).clip(1e-9)
  return np.einsum('lkc,lk->lc', reference[corners], weights), (triangle >= 0) & ~flat


def _attach(head: Head, reference: np.ndarray, points: np.ndarray) -> dict[str, np.ndarray]:
  """The nearest points of the mesh: irises on their eyeball, the rest on the skin."""
  triangles, group = np.asarray(head.triangles), np.asarray(head.triangle_group)
  wanted = np.zeros(names.COUNT, int)
  for eyeball, iris in enumerate(names.IRISES, 1):
    wanted[list(iris)] = eyeball
  out = nowhere()
  for i, point in enumerate(points):
    corners = reference[triangles]
    distance = ((corners.mean(1) - point) ** 2).sum(1) + np.where(group == wanted[i], 0, np.inf)
    near = np.argsort(distance)[:60]
    weights = _closest(corners[near], point)
    found = np.einsum('nkc,nk->nc', corners[near], weights)
    best = ((found - point) ** 2).sum(1).argmin()
    out['landmark_triangle'][i] = near[best]
    out['landmark_barycentric'][i] = weights[best]
  return out


def _closest(corners: np.ndarray, point: np.ndarray) -> np.ndarray:
  """Barycentric coordinates [N, 3] of about the closest point of N triangles [N, 3, 3]."""
  one, two, arm = (
    corners[:, 1] - corners[:, 0],
    corners[:, 2] - corners[:, 0],
    point - corners[:, 0],
  )
  edges = np.stack([one, two], -1)
  weights = np.einsum('nij,nj->ni', np.linalg.pinv(edges), arm)
  weights = np.concatenate([1 - weights.sum(1, keepdims=True), weights], 1).clip(0)
  return weights / weights.sum(1, keepdims=True)
