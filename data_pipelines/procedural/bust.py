"""Shoulders and clothes: rings from the cut of the neck down to below the picture."""

from typing import NamedTuple

import numpy as np

from data_pipelines.procedural.appearance import Appearance

AROUND = 64


class Bust(NamedTuple):
  """A closed skirt of triangles that hangs from the neck, in head space of the neutral pose."""

  points: np.ndarray  # [N, 3]
  normals: np.ndarray  # [N, 3]
  coordinates: np.ndarray  # [N, 2] around -pi..pi, distance below the neck
  cloth: np.ndarray  # [N] 1 = cloth, 0 = skin
  triangles: np.ndarray  # [M, 3]


def build(look: Appearance, vertices: np.ndarray, triangles: np.ndarray) -> Bust:
  """Builds the bust under the neck of a person's neutral head [V, 3]."""
  neck = _neck_ring(vertices, triangles)
  body = _loft(_body_rings(look, neck), cloth=0.0)
  shirt = _loft(_shirt_rings(look, neck), cloth=1.0)
  return _join(body, shirt)


def _neck_ring(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
  """The cross-section of the neck just above its cut: (centre x, z, half width, half depth, y)."""
  skin = vertices[np.unique(triangles)]
  low = skin[:, 1].min()
  ring = skin[skin[:, 1] < low + 0.10]
  x, z = ring[:, 0], ring[:, 2]
  return np.array([0.0, (z.max() + z.min()) / 2, np.abs(x).max(), np.ptp(z) / 2, low])


def _ellipse(
  centre_z: float, half_width: float, half_depth: float, y, power: float = 2.0
) -> np.ndarray:
  angle = np.linspace(-np.pi, np.pi, AROUND)
  s, c = np.sin(angle), np.cos(angle)
  s, c = np.sign(s) * np.abs(s) ** (2 / power), np.sign(c) * np.abs(c) ** (2 / power)
  return np.stack([half_width * s, np.broadcast_to(y, s.shape), centre_z + half_depth * c], -1)


def _body_rings(look: Appearance, neck: np.ndarray) -> list[np.ndarray]:
  _, z, width, depth, low = neck
  return [
    _ellipse(z, width * 0.95, depth * 0.95, low + 0.10),
    _ellipse(z, width * 1.0, depth * 1.0, low),
    _ellipse(z, width * 1.18, depth * 1.08, low - 0.08),
    _ellipse(z, width * 1.7, depth * 1.2, low - 0.17),
    _ellipse(z, width * 2.4, depth * 1.35, low - 0.27),
  ]


def _shirt_rings(look: Appearance, neck: np.ndarray) -> list[np.ndarray]:
  """A collar that dips in front, shoulders that slope, a chest."""
  _, z, width, depth, low = neck
  angle = np.linspace(-np.pi, np.pi, AROUND)
  dip = 0.10 if look.neckline == 'crew' else 0.30
  sag = -dip * np.clip(np.cos(angle), 0, 1) ** (2 if look.neckline == 'crew' else 4)
  broad = 1.0 if look.woman else 1.13
  rings = []
  for out, drop, deep in ((1.14, 0.02, 1.10), (1.19, 0.06, 1.16), (1.25, 0.05, 1.22), (1.26, -0.01, 1.22),
                          (1.34, -0.03, 1.27)):  # fmt: skip
    rings.append(_ellipse(z, width * out + 0.02, depth * deep + 0.02, low - 0.02 + drop + sag))
  for out, drop, deep, keep in ((0.50, 0.12, 0.40, 0.75), (0.78, 0.20, 0.46, 0.5), (1.05, 0.30, 0.50, 0.3),
                                (1.22, 0.42, 0.54, 0.1), (1.28, 0.62, 0.58, 0.0), (1.30, 1.1, 0.60, 0.0)):  # fmt: skip
    rings.append(_ellipse(z, out * broad, deep, low - drop + keep * sag, 2.2))
  return rings


def _loft(rings: list[np.ndarray], cloth: float) -> Bust:
  grid = np.stack(rings)  # [rings, AROUND, 3]
  count = len(rings)
  i, j = np.meshgrid(np.arange(count - 1), np.arange(AROUND - 1), indexing='ij')
  a = (i * AROUND + j).reshape(-1)
  quads = np.stack([a, a + AROUND, a + 1, a + 1, a + AROUND, a + AROUND + 1], -1).reshape(-1, 3)
  points = grid.reshape(-1, 3)
  faces = np.cross(
    points[quads[:, 1]] - points[quads[:, 0]], points[quads[:, 2]] - points[quads[:, 0]]
  )
  normals = np.zeros_like(points)
  for k in range(3):
    np.add.at(normals, quads[:, k], faces)
  seam = normals.reshape(count, AROUND, 3)
  seam[:, 0] = seam[:, -1] = seam[:, 0] + seam[:, -1]
  normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
  below = np.cumsum(np.r_[0, np.linalg.norm(np.diff(grid.mean(1), axis=0), axis=-1)])
  angle = np.linspace(-np.pi, np.pi, AROUND)
  coordinates = np.stack(np.broadcast_arrays(angle[None], below[:, None]), -1).reshape(-1, 2)
  return Bust(points, normals, coordinates, np.full(len(points), cloth), quads)


def _join(a: Bust, b: Bust) -> Bust:
  merged = [np.concatenate(pair) for pair in zip(a[:-1], b[:-1], strict=True)]
  return Bust(*merged, np.concatenate([a.triangles, b.triangles + len(a.points)]))
