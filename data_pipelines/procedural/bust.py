"""Shoulders and clothes: rings from the cut of the neck down to below the picture."""

from typing import NamedTuple

import numpy as np

from .appearance import Appearance

AROUND = 64
WIDEST = 0.47  # half width of a neck, head widths: lower down it is a shoulder


class Bust(NamedTuple):
  """A closed skirt of triangles that hangs from the neck, in head space of the neutral pose."""

  points: np.ndarray  # [N, 3]
  normals: np.ndarray  # [N, 3]
  coordinates: np.ndarray  # [N, 2] around -pi..pi, distance below the neck
  cloth: np.ndarray  # [N] 1 = cloth, 0 = skin
  triangles: np.ndarray  # [M, 3]


def build(look: Appearance, vertices: np.ndarray, triangles: np.ndarray) -> Bust:
  """Builds the bust under the neck of a person's neutral head [V, 3]."""
  skin = vertices[np.unique(triangles)]
  base = neck_base(vertices, triangles)
  body = _loft(_body_rings(skin, base), cloth=0.0)
  shirt = _loft(_shirt_rings(look, base - 0.11, _section(skin, base)), cloth=1.0)
  return _join(body, shirt)


def neck_base(vertices: np.ndarray, triangles: np.ndarray) -> float:
  """Height where the neck of a person's neutral head ends and the bust takes over."""
  skin = vertices[np.unique(triangles)]
  low = skin[:, 1].min()
  heights = low + np.arange(0.11, 0.24, 0.01)
  return next((y for y in heights if _section(skin, y)[1] < WIDEST), heights[-1])


def _section(vertices: np.ndarray, y: float) -> tuple[float, float, float]:
  """The neck's section at a height: centre z, half width, half depth."""
  ring = vertices[np.abs(vertices[:, 1] - y) < 0.035]
  x, z = ring[:, 0], ring[:, 2]
  return (z.max() + z.min()) / 2, np.abs(x).max(), np.ptp(z) / 2


def _ellipse(z: float, half_width: float, half_depth: float, y, power: float = 2.0) -> np.ndarray:
  angle = np.linspace(-np.pi, np.pi, AROUND)
  s, c = np.sin(angle), np.cos(angle)
  s, c = np.sign(s) * np.abs(s) ** (2 / power), np.sign(c) * np.abs(c) ** (2 / power)
  return np.stack([half_width * s, np.broadcast_to(y, s.shape), z + half_depth * c], -1)


def _body_rings(skin: np.ndarray, base: float) -> list[np.ndarray]:
  """Bare skin from just under that of the neck down into the shirt."""
  rings = []
  for up, share in ((0.07, 0.94), (0.03, 0.975), (0.0, 0.985)):
    z, width, depth = _section(skin, base + up)
    rings.append(_ellipse(z, width * share, depth * share, base + up, 2.2))
  for down, narrow, deep in (
    (0.05, 0.98, 1.03),
    (0.1, 0.96, 1.06),
    (0.2, 0.94, 1.1),
    (0.35, 0.92, 1.2),
  ):
    rings.append(_ellipse(z, width * narrow, depth * deep, base - down, 2.2))
  return rings


def _shirt_rings(look: Appearance, low: float, neck) -> list[np.ndarray]:
  """A collar that dips in front, shoulders that slope, a chest."""
  z, width, depth = neck
  angle = np.linspace(-np.pi, np.pi, AROUND)
  crew = look.neckline == 'crew'
  sag = -(0.05 if crew else 0.24) * np.clip(np.cos(angle), 0, 1) ** (2 if crew else 4)
  broad = 1.0 if look.woman else 1.12
  collar = ((-0.01, 0.08), (0.015, 0.105), (0.04, 0.09), (0.045, 0.035), (0.07, 0.0))
  rings = [_ellipse(z, width + o, depth + 0.01 + o, low + up + sag) for o, up in collar]
  slope = ((0.66, 0.50, 0.07, 0.85), (0.86, 0.52, 0.15, 0.6), (1.04, 0.53, 0.23, 0.4),
           (1.17, 0.54, 0.34, 0.2), (1.25, 0.55, 0.50, 0.0), (1.30, 0.56, 1.0, 0.0))  # fmt: skip
  for out, deep, drop, keep in slope:
    rings.append(_ellipse(z, out * broad, max(deep, depth + 0.09), low - drop + keep * sag, 2.2))
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
