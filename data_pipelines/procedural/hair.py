"""Hair: a few hundred tapered locks, combed over the scalp of one person.

Locks are ribbons of triangles that grow from the scalp along a comb direction and keep a small
distance from the skull; below it they fall. The strands inside a lock are painted by shading.py.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from . import canvas
from .appearance import Appearance

# Height of the hairline on the mean head over the angle around the canvas axis (rad).
LINE_ANGLE = (0.0, 0.35, 0.62, 0.82, 0.98, 1.16, 1.28, 1.40, 1.75, 2.10, 3.20)
LINE_HEIGHT = (0.585, 0.575, 0.52, 0.37, 0.20, 0.10, 0.20, 0.36, 0.34, 0.0, -0.32)
CENTRE = np.array((0.0, 0.36, 0.02))  # of the skull, head widths


class Cut(NamedTuple):
  """How a style is combed: direction terms, length and fullness in head widths."""

  aside: float  # away from the parting (or, if `swept`, all to one side)
  down: float
  forward: float
  length: float
  lift: float  # distance from the skull
  locks: int
  width: float
  swept: bool = False


CUTS = {
  'crop': Cut(0.30, 0.25, 0.8, 0.16, 0.035, 1100, 0.040),
  'swept': Cut(0.75, 0.12, -0.60, 0.34, 0.085, 1000, 0.045, swept=True),
  'parted': Cut(0.9, 0.45, -0.5, 0.38, 0.07, 1000, 0.045),
  'bob': Cut(0.85, 0.75, -0.40, 0.62, 0.085, 800, 0.060),
  'long': Cut(0.85, 0.75, -0.40, 0.66, 0.090, 800, 0.060),
  'back': Cut(0.10, 0.10, -1.0, 0.60, 0.045, 900, 0.050),
}
SEGMENTS = 7
MOST = 1100  # every head of hair is filled up to this many locks: one compiled shape for all
HANGING = {'bob': -0.36, 'long': -1.05}  # height where the locks beside and behind the face end


class Locks(NamedTuple):
  """Ribbons of triangles in the person's head space."""

  points: np.ndarray  # [N, 3]
  normals: np.ndarray  # [N, 3]
  tangents: np.ndarray  # [N, 3] along the strands
  coordinates: np.ndarray  # [N, 2] across the lock (lock number + 0..1), along it 0..1
  occlusion: np.ndarray  # [N] 0..1, darker near the scalp
  triangles: np.ndarray  # [M, 3]


def scalp_mask(seed: int) -> np.ndarray:
  """[HEIGHT, WIDTH] of the canvas: 0..1 where hair grows, with a soft, uneven edge."""
  angle, y = canvas.grid()
  rng = np.random.default_rng([seed, 5])
  uneven = 0.010 * canvas.noise(rng, 4) + 0.006 * canvas.noise(rng, 1.5)
  rise = y - np.interp(np.abs(angle), LINE_ANGLE, LINE_HEIGHT) + uneven
  return np.clip(rise / 0.05 + 0.1, 0, 1).astype(np.float32)


def grow(look: Appearance, mean: np.ndarray, person: np.ndarray, triangles: np.ndarray) -> Locks:
  """Grows the hair of a person.

  Args:
    look: style, parting and seed.
    mean: [V, 3] vertices of the mean head, where the hairline is defined.
    person: [V, 3] vertices of the person's own neutral head.
    triangles: [F, 3] of the skin.
  """
  cut, rng = CUTS[look.style], np.random.default_rng([look.seed, 9])
  roots = _roots(cut, mean, person, triangles, rng)
  skull = _skull(mean, person, triangles)
  paths = _comb(cut, look, roots, skull, rng)
  locks = _ribbons(paths, cut, rng)
  if look.style in HANGING:
    locks = _join(locks, _curtain(HANGING[look.style], skull, rng))
  return _filled(locks)


def _roots(cut: Cut, mean, person, triangles, rng) -> np.ndarray:
  middle = mean[triangles].mean(1)
  angle = np.arctan2(middle[:, 0], middle[:, 2] - canvas.AXIS)
  line = np.interp(np.abs(angle), LINE_ANGLE, LINE_HEIGHT)
  inside = (middle[:, 1] > line + 0.01) & (np.abs(middle[:, 0]) < 0.53)
  inside &= middle[:, 2] > (-0.6 if cut.length > 0.8 else -0.35)
  a, b, c = np.moveaxis(person[triangles[inside]], 1, 0)
  area = np.linalg.norm(np.cross(b - a, c - a), axis=-1) * (1 + 1.2 * (middle[inside][:, 2] > 0))
  pick = rng.choice(len(area), cut.locks, p=area / area.sum())
  w = rng.dirichlet((1, 1, 1), cut.locks)
  return a[pick] * w[:, :1] + b[pick] * w[:, 1:2] + c[pick] * w[:, 2:]


def _skull(mean, person, triangles):
  """Returns radius(points): the distance of the scalp from CENTRE in their directions."""
  skin = np.unique(triangles)
  keep = skin[(np.abs(mean[skin, 0]) < 0.52) & (mean[skin, 1] > -0.05)]
  arms = person[keep] - CENTRE
  radii = np.linalg.norm(arms, axis=-1)
  tree = KDTree(arms / radii[:, None])

  def radius(points: np.ndarray) -> np.ndarray:
    arm = points - CENTRE
    distance, index = tree.query(arm / np.linalg.norm(arm, axis=-1, keepdims=True), k=6)
    weight = 1 / (distance + 0.02)
    return (radii[index] * weight).sum(-1) / weight.sum(-1)

  return radius


def _comb(cut: Cut, look: Appearance, roots: np.ndarray, skull, rng) -> np.ndarray:
  """Integrates the comb direction from each root: [locks, SEGMENTS + 1, 3]."""
  count = len(roots)
  clump = np.sin(roots @ rng.normal(0, 9, (3, 4)) + rng.uniform(0, 6, 4)) @ rng.normal(
    0, 0.10, (4, 3)
  )
  jitter = rng.normal(0, 0.10, (count, 3)) + clump
  length = cut.length * rng.uniform(0.72, 1.08, count)
  if cut.length < 0.3:  # short at the sides, longer on top
    length *= 0.45 + 0.75 * np.clip((roots[:, 1] - 0.35) / 0.4, 0, 1)
  layer = cut.lift * rng.uniform(0.25, 1.0, count)
  side = np.where(roots[:, 0] > look.part, 1.0, -1.0)
  if cut.swept:
    top = np.clip((roots[:, 1] - 0.45) / 0.2, 0, 1)
    side = top * np.sign(look.part + 0.01) * -1 + (1 - top) * np.sign(roots[:, 0])
  paths, point = [roots - 0.01 * _unit(roots - CENTRE)], roots.copy()
  for k in range(SEGMENTS):
    t = (k + 1) / SEGMENTS
    normal = _unit(point - CENTRE)
    forward = cut.forward * (1.0 if not cut.swept else 1.0 + 1.2 * (roots[:, 2] > 0.35) * (0.5 - t))
    direction = np.stack(
      [side * cut.aside, np.full(count, -cut.down), forward * np.ones(count)], -1
    )
    direction = direction + jitter
    low = np.clip((0.30 - point[:, 1]) / 0.25, 0, 1)[:, None] * (cut.length > 0.5)
    direction = direction * (1 - low) + low * (
      np.array((0, -1.0, 0)) + 0.5 * jitter - 0.15 * normal * [1, 0, 0] * (t > 0.7)
    )
    tangent = direction - (1 - low) * normal * (direction * normal).sum(-1, keepdims=True)
    point = point + _unit(tangent) * (length / SEGMENTS)[:, None]
    arm = point - CENTRE
    profile = np.sin(np.pi * min(0.15 + 0.75 * t, 1.0)) ** 0.7
    wanted = skull(point) + layer * profile + 0.012
    distance = np.linalg.norm(arm, axis=-1)
    blend = (1 - low[:, 0]) + low[:, 0] * (distance < wanted)
    point = point + _unit(arm) * ((wanted - distance) * blend)[:, None]
    point = _off_the_face(point, cut)
    paths.append(point)
  return np.stack(paths, 1)


def _curtain(end: float, skull, rng) -> Locks:
  """Locks that hang beside the face, and behind the neck where they show their shaded inside."""
  beside, behind = 170, 90
  angle = np.r_[rng.uniform(1.18, 1.95, beside) * rng.choice([-1, 1], beside),
                np.pi + rng.uniform(-1.25, 1.25, behind)]  # fmt: skip
  back = np.arange(beside + behind) >= beside
  start = np.where(back, 0.1, rng.uniform(0.25, 0.60, len(angle)))
  t = np.linspace(0, 1, SEGMENTS + 1)
  y = start[:, None] + (end * rng.uniform(0.86, 1.04, (len(angle), 1)) - start[:, None]) * t
  wave = 0.018 * np.sin(9 * y + 3 * angle[:, None] + rng.uniform(0, 1.5, (len(angle), 1)))
  layer = rng.uniform(0, 0.075, (len(angle), 1)) * np.minimum(1, 3 * t)
  around = np.stack([np.sin(angle), np.full(len(angle), 0.0), np.cos(angle)], -1)
  top = CENTRE + around * 0.4 + np.array((0, 1, 0)) * (start - CENTRE[1])[:, None]
  radius = np.maximum(skull(np.maximum(top, [-9, 0.25, -9]))[:, None] * 0.99, 0.49) + layer + wave
  radius = radius + 0.03 * np.sin(np.pi * t) - (0.10 if end > -0.6 else 0.04) * t**4
  angle = angle[:, None] + np.where(back, 0, 0.06 * np.sign(angle))[:, None] * np.sin(np.pi * t)
  x, z = radius * np.sin(angle), 0.85 * radius * np.cos(angle) + 0.02
  paths = np.stack([x, y, z], -1)
  locks = _ribbons(paths, Cut(0, 0, 0, 0, 0, 0, 0.085), rng)
  inside = np.repeat(back, (SEGMENTS + 1) * 2)
  locks = locks._replace(
    normals=np.where(inside[:, None], -locks.normals, locks.normals),
    occlusion=locks.occlusion * np.where(inside, 0.30, 1.0),
  )
  turned = inside[locks.triangles[:, 0]]
  locks.triangles[turned] = locks.triangles[turned][:, ::-1]
  return locks


def _filled(locks: Locks) -> Locks:
  """Adds locks without area, which no camera sees."""
  points, faces = MOST * (SEGMENTS + 1) * 2, MOST * SEGMENTS * 2
  short = points - len(locks.points)
  fill = [np.concatenate([a, np.repeat(a[-1:], short, 0)]) for a in locks[:-1]]
  none = np.zeros((faces - len(locks.triangles), 3), locks.triangles.dtype)
  return Locks(*fill, np.concatenate([locks.triangles, none]))


def _join(a: Locks, b: Locks) -> Locks:
  lift = np.array((np.floor(a.coordinates[:, 0].max()) + 1, 0))
  b = b._replace(coordinates=b.coordinates + lift, triangles=b.triangles + len(a.points))
  return Locks(*(np.concatenate(pair) for pair in zip(a, b, strict=True)))


def _off_the_face(points: np.ndarray, cut: Cut) -> np.ndarray:
  """Long hair hangs beside and behind the face, in front of the ears."""
  if cut.length < 0.5:
    return points
  x, y, z = points.T
  below = np.clip((0.42 - y) / 0.25, 0, 1)
  wide = np.maximum(np.abs(x), below * (0.50 + 0.06 * np.clip(-y, 0, 0.3)))
  return np.stack([np.where(x < 0, -1, 1) * wide, y, np.minimum(z, 0.9 - 0.72 * below)], -1)


def _ribbons(paths: np.ndarray, cut: Cut, rng) -> Locks:
  count, steps = paths.shape[:2]
  along = _unit(np.gradient(paths, axis=1))
  outward = _unit(
    paths
    - CENTRE * [1, 0, 1]
    - [0, 0.36, 0] * (paths[..., 1:2] > 0.36)
    - paths * [0, 1, 0] * (paths[..., 1:2] <= 0.36)
  )
  across = _unit(np.cross(along, outward))
  normal = _unit(np.cross(across, along))
  t = np.linspace(0, 1, steps)
  width = (
    cut.width * rng.uniform(0.6, 1.2, (count, 1)) * np.minimum(1, 0.5 + 2 * t) * (1 - t**3 * 0.85)
  )
  left, right = (paths + s * across * width[..., None] / 2 for s in (-1, 1))
  points = np.stack([left, right], 2)  # [locks, steps, 2, 3]
  tilt = np.stack([normal - 0.45 * across, normal + 0.45 * across], 2)  # rounds the ribbon
  number = np.broadcast_to(np.arange(count)[:, None, None], (count, steps, 2))
  coordinates = np.stack(
    [number + np.array([0.02, 0.98]), np.broadcast_to(t[None, :, None], number.shape)], -1
  )
  shade = np.broadcast_to((0.45 + 0.55 * np.minimum(1, 2.0 * t))[None, :, None], number.shape)
  shade = shade * rng.uniform(0.72, 1.12, (count, 1, 1))
  first = (np.arange(count)[:, None] * steps + np.arange(steps - 1)) * 2  # [locks, steps - 1]
  quads = np.stack([first, first + 1, first + 3, first, first + 3, first + 2], -1).reshape(-1, 3)
  flat = points.reshape(-1, 3)
  a, b, c = np.moveaxis(flat[quads], 1, 0)
  wrong = (np.cross(b - a, c - a) * normal.repeat(2, 1).reshape(-1, 3)[quads[:, 0]]).sum(-1) < 0
  quads[wrong] = quads[wrong][:, ::-1]
  return Locks(
    flat, _unit(tilt).reshape(-1, 3), np.repeat(along, 2, 1).reshape(-1, 3),
    coordinates.reshape(-1, 2), shade.reshape(-1), quads,
  )  # fmt: skip


def _unit(v: np.ndarray) -> np.ndarray:
  return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)
