"""What no identity reaches of a person's face: the mean offset of landmarks, over the whole skin.

The offset of `fit.Shape` is known at the landmarks only. Between them the skin moves as smoothly as
it can (least squares of the mesh's Laplacian). A landmark that disagrees with all around it is
off in the model, not in the person: it loses its say.
"""

import jax.numpy as jnp
import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from gmtalker_jax.face import landmarks as names
from gmtalker_jax.face import morphable
from gmtalker_jax.face.landmark_model import LandmarkModel
from gmtalker_jax.face.morphable import Head

from . import fit

IRIS = 0.065  # its radius over the distance of the outer corners: 5.85 and 90 mm in adults
_FAITH = 1.0  # weight of a landmark against the smoothness at a vertex
_REST = 1e-4  # weight of staying at rest: what no landmark tells of does
_WRONG = 0.004  # head widths that make a landmark half as credible
_ROUNDS = 4


def over_mesh(head: Head, offset: np.ndarray) -> np.ndarray:
  """Spreads offsets of landmarks [478, 3] over the vertices: [V, 3], head widths.

  Eyeballs go with the mean of their lids. Teeth and tongue stay.
  """
  model = LandmarkModel.of(head)
  told = np.flatnonzero(fit.landmark_weights(model) > 0.5)
  corners = np.asarray(head.triangles)[np.asarray(head.landmark_triangle)[told]]
  rows = np.repeat(np.arange(len(told)), 3)
  weights = np.asarray(head.landmark_barycentric)[told].ravel()
  pick = sparse.csr_matrix((weights, (rows, corners.ravel())), (len(told), len(head.mean)))
  smooth = _laplacian(head)
  rest = smooth.T @ smooth + _REST * sparse.identity(len(head.mean))
  belief, found = np.ones(len(told)), np.zeros((len(head.mean), 3))
  for _ in range(_ROUNDS):
    trusted = pick.T @ sparse.diags(_FAITH * belief)
    found = linalg.spsolve((rest + trusted @ pick).tocsc(), trusted @ offset[told])
    off = np.linalg.norm(pick @ found - offset[told], axis=1)
    belief = 1 / (1 + (off / _WRONG) ** 2)
  skin = np.unique(np.asarray(head.triangles)[np.asarray(head.triangle_group) == 0])
  spread = np.zeros((len(head.mean), 3), np.float32)
  spread[skin] = found[skin]
  at_landmarks = np.asarray(morphable.landmarks(head, jnp.asarray(spread)))
  for lids, eye in zip(names.EYELIDS, np.asarray(head.eye_vertices), strict=True):
    spread[eye] = at_landmarks[[k for k in lids if k in told]].mean(0)
  return spread.astype(np.float16).astype(np.float32)  # as a file of the person holds it


def iris(head: Head, identity: np.ndarray) -> float:
  """The radius of a person's irises as a share of the head's eyeballs, which are large."""
  shape = LandmarkModel.of(head).neutral(identity)
  arms = np.asarray(head.mean)[np.asarray(head.eye_vertices)] - np.asarray(head.eye_centre)[:, None]
  return float(IRIS * names.outer_eye_distance(shape) / np.linalg.norm(arms, axis=-1).mean())


def _laplacian(head: Head) -> sparse.csr_matrix:
  """[V, V]: a vertex of the skin less the mean of its neighbours."""
  triangles = np.asarray(head.triangles)[np.asarray(head.triangle_group) == 0]
  one, two = np.concatenate([triangles[:, [i, (i + 1) % 3]] for i in range(3)]).T
  count = len(head.mean)
  edges = np.concatenate([one, two]), np.concatenate([two, one])
  near = sparse.csr_matrix((np.ones(len(edges[0])), edges), (count, count))
  near.data[:] = 1  # an edge of two triangles was counted twice
  degree = np.asarray(near.sum(1)).ravel()
  return sparse.diags((degree > 0).astype(float)) - sparse.diags(1 / np.maximum(degree, 1)) @ near
