"""The skin as a picture: painted once per person on the unrolled mean face.

The canvas is a cylinder around the head, cut open at the back. A point of the skin is addressed by
where it lies on the *mean* head, so paint moves with the skin under any identity and expression.
"""

from typing import NamedTuple

import cv2
import numpy as np

from gmtalker_jax.face.landmarks import BROWS, EYELIDS, OUTER_LIPS

from .appearance import Appearance

WIDTH, HEIGHT = 1024, 1024
ANGLE, AXIS = 1.9, -0.15  # half the opening in rad; z of the cylinder's axis
BOTTOM, TOP = -0.80, 0.95
SCALE = HEIGHT / (TOP - BOTTOM)  # px per head width

FOREHEAD = ((63, 68), (66, 108), (9, 10), (296, 337), (293, 298))  # brow, hairline


class Canvas(NamedTuple):
  """Painted maps, [HEIGHT, WIDTH, ...] float32."""

  albedo: np.ndarray  # [..., 3] linear
  gloss: np.ndarray  # 0..1
  pores: np.ndarray  # height, head widths
  wrinkles: np.ndarray  # [..., 2] height per unit of activation: creases across, creases along


def address(points: np.ndarray) -> np.ndarray:
  """Canvas coordinates [N, 2] in 0..1 (right, down) of points [N, 3] of the mean head."""
  angle = np.arctan2(points[:, 0], points[:, 2] - AXIS)
  u = np.clip(angle / (2 * ANGLE) + 0.5, 0, 1)
  v = np.clip((TOP - points[:, 1]) / (TOP - BOTTOM), 0, 1)
  return np.stack([u, v], -1).astype(np.float32)


def paint(look: Appearance, landmarks: np.ndarray, scalp: np.ndarray) -> Canvas:
  """Paints a person's skin.

  Args:
    look: the appearance.
    landmarks: [478, 3] of the mean head.
    scalp: [HEIGHT, WIDTH] 0..1 where hair grows.
  """
  rng = np.random.default_rng([look.seed, 71])
  marks = address(landmarks) * (WIDTH, HEIGHT)
  lips = _polygon(marks[list(OUTER_LIPS)], 2.0)
  albedo = _complexion(look, marks, rng)
  albedo = _mix(albedo, _lip_colour(look, lips, marks, rng), 0.9 * lips)
  albedo = _mix(albedo, np.asarray(look.hair) * 0.5 + np.asarray(look.skin) * 0.03, 0.97 * scalp)
  albedo = _eyelids(albedo, look, marks)
  brows = _brows(look, marks, rng)
  albedo = _mix(albedo, np.asarray(look.hair) * 0.55, brows)
  oil = _blob(marks, 4, 0.10) + 0.7 * _blob(marks, 9, 0.22) + 0.4 * _blob(marks, 152, 0.12)
  gloss = np.clip(0.35 + 0.25 * oil + 0.45 * lips - 0.3 * scalp - 0.3 * brows, 0, 1)
  pores = (0.00028 * noise(rng, 1.5) + 0.00035 * noise(rng, 4)) * (1 - 0.6 * lips)
  pores += lips * 0.0006 * noise(rng, 3.0, stretch=6)
  return Canvas(
    albedo.astype(np.float32), gloss.astype(np.float32), pores.astype(np.float32), _wrinkles(marks)
  )


def grid() -> tuple[np.ndarray, np.ndarray]:
  """Angle and height (x, y) of each canvas pixel: two [HEIGHT, WIDTH] arrays."""
  angle = np.linspace(-ANGLE, ANGLE, WIDTH, dtype=np.float32)
  y = np.linspace(TOP, BOTTOM, HEIGHT, dtype=np.float32)
  return np.meshgrid(angle, y)


def _complexion(look: Appearance, marks: np.ndarray, rng) -> np.ndarray:
  skin = np.asarray(look.skin, np.float32)
  mottle = 0.035 * noise(rng, 24) + 0.03 * noise(rng, 8) + 0.03 * noise(rng, 2)
  albedo = skin * (1 + mottle[..., None] * (0.6, 1.0, 1.1))
  redness = 0.9 * (_blob(marks, 50, 0.15) + _blob(marks, 280, 0.15)) + 0.5 * _blob(marks, 4, 0.08)
  redness = np.clip(redness + 0.25 * _blob(marks, 152, 0.10), 0, 1) * look.blush
  albedo = albedo * (1 - redness[..., None] * (0.0, 0.26, 0.22))
  under = 0.5 * (_blob(marks, 230, 0.055) + _blob(marks, 450, 0.055))
  albedo = albedo * (1 - under[..., None] * (0.14, 0.20, 0.14))
  albedo = albedo * (1 - _freckles(look, marks, rng)[..., None] * (0.30, 0.42, 0.5))
  return albedo * (1 - _stubble(look, marks, rng)[..., None] * (0.42, 0.36, 0.30))


def _freckles(look: Appearance, marks: np.ndarray, rng) -> np.ndarray:
  spots = np.zeros((HEIGHT, WIDTH), np.float32)
  centre = marks[5]
  for _ in range(int(260 * look.freckles)):
    x, y = rng.normal(centre, (95, 34))
    radius, strength = rng.uniform(1.0, 2.6), rng.uniform(0.2, 0.8)
    cv2.circle(spots, (int(x * 8), int(y * 8)), int(8 * radius), strength, -1, cv2.LINE_AA, 3)
  return cv2.GaussianBlur(spots, (0, 0), 1.0)


def _stubble(look: Appearance, marks: np.ndarray, rng) -> np.ndarray:
  if look.stubble <= 0:
    return np.zeros((HEIGHT, WIDTH), np.float32)
  jaw = _polygon(marks[[58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288,
                        410, 322, 391, 164, 165, 92, 186]], 14.0)  # fmt: skip
  mouth = _polygon(marks[list(OUTER_LIPS)], 3.0)
  dots = np.clip(0.75 + 0.5 * noise(rng, 1.2), 0, 1.4)
  return look.stubble * jaw * (1 - mouth) * dots


def _lip_colour(look: Appearance, lips: np.ndarray, marks: np.ndarray, rng) -> np.ndarray:
  shade = 1 + 0.10 * noise(rng, 3.0, stretch=6) + 0.05 * noise(rng, 10)
  inner = _band(marks[list(OUTER_LIPS[:11])], marks[list(OUTER_LIPS[10:] + OUTER_LIPS[:1])], 5)
  return np.asarray(look.lips, np.float32) * (shade - 0.25 * inner)[..., None]


def _eyelids(albedo: np.ndarray, look: Appearance, marks: np.ndarray) -> np.ndarray:
  """A soft line along the lashes and a little shade above the eye."""
  for ring in reversed(EYELIDS):
    contour = marks[list(ring)]
    line = np.zeros((HEIGHT, WIDTH), np.float32)
    upper = np.concatenate((contour[8:], contour[:1])).astype(np.int32)
    cv2.polylines(line, [upper], False, 1.0, 5 if look.woman else 3, cv2.LINE_AA)
    line = cv2.GaussianBlur(line, (0, 0), 1.3)
    albedo = _mix(albedo, np.asarray(look.hair) * 0.35, np.clip(line, 0, 0.85))
    socket = _polygon(contour, 16.0)
    albedo = albedo * (1 - socket[..., None] * (0.10, 0.20, 0.17))
  return albedo


def _brows(look: Appearance, marks: np.ndarray, rng) -> np.ndarray:
  """Hair strokes between the two edges of each brow, leaning outwards."""
  strokes = np.zeros((HEIGHT, WIDTH), np.float32)
  for lower, upper in reversed(BROWS):
    low, high = marks[list(lower)], marks[list(upper)]
    for _ in range(int(330 * look.brow)):
      at = rng.beta(1.1, 1.25) * 3.98
      across = np.clip(rng.normal(0.5, 0.25), 0.05, 0.95)
      thin = look.brow * (1 - 0.55 * (at / 4) ** 1.5) * 0.85
      across = 0.5 + (across - 0.5) * thin
      i, f = int(at), at - int(at)
      a, b = low[i] * (1 - f) + low[i + 1] * f, high[i] * (1 - f) + high[i + 1] * f
      root = a * (1 - across) + b * across
      along = (low[i + 1] + high[i + 1] - low[i] - high[i]) / 2
      along = along / np.linalg.norm(along)
      rise = np.array((0, -1.0)) * (0.9 - 0.22 * at) + rng.normal(0, 0.12, 2)
      lean = along * (0.35 + 0.25 * at) + rise + np.array((0, 1.0)) * max(across - 0.5, 0) * 1.6
      tip = root + lean / np.linalg.norm(lean) * rng.uniform(10, 18)
      cv2.line(strokes, _eighths(root), _eighths(tip), rng.uniform(0.5, 1.0), 1,
               cv2.LINE_AA, 3)  # fmt: skip
  body = cv2.GaussianBlur(strokes, (0, 0), 4.0)
  return np.clip(0.75 * cv2.GaussianBlur(strokes, (0, 0), 0.7) + 0.8 * body, 0, 0.92)


def _wrinkles(marks: np.ndarray) -> np.ndarray:
  """Creases that deepen with activation.

  [..., 0]: brow lines, crow's feet, smile lines. [..., 1]: frown lines, and those on the nose.
  """
  across = np.zeros((HEIGHT, WIDTH), np.float32)
  along = np.zeros_like(across)
  for k, lift in enumerate((0.30, 0.48, 0.66)):  # between the brows and the hairline
    ends = [_at(marks[i] * (1 - lift) + marks[j] * lift) for i, j in FOREHEAD]
    waves = np.array(((0, 2 * (-1) ** k), (0, -3), (0, 3), (0, -3), (0, 2)))
    _crease(across, _smooth(np.stack(ends) + waves), 5, 1.0)
  for corner, side in ((33, -1), (263, 1)):
    for slope in (-0.55, -0.1, 0.35):
      _crease(across, _path(marks[corner], side, (14, slope * 12), (30, slope * 26 + 2),
                            (48, slope * 42 + 7)), 3.5, 0.7)  # fmt: skip
  for wing, cheek, corner in ((129, 206, 57), (358, 426, 287)):
    side = np.sign(marks[wing, 0] - marks[4, 0])
    path = (_at(marks[wing], side * 6, -6), _at(marks[cheek], -side * 3, -4),
            _at(marks[corner], side * 12, 4))  # fmt: skip
    _crease(across, _smooth(np.stack(path)), 7, 0.85)
  for side in (-1, 1):
    _crease(along, _path(marks[9], side, (11, 22), (13, 0), (16, -22)), 5, 1.2)
    for k in (-6, 5):
      _crease(along, _path(marks[6], side, (12, k), (24, k + 6), (32, k + 16)), 3.5, 0.6)
  return (np.stack([across, along], -1) * 0.012).astype(np.float32)


def _at(point: np.ndarray, right: float = 0.0, down: float = 0.0) -> np.ndarray:
  return point + np.array((right, down))


def _path(start: np.ndarray, side: int, *steps: tuple[float, float]) -> np.ndarray:
  """A smooth path through `start` + steps (outwards, down) px."""
  return _smooth(np.stack([_at(start, side * out, down) for out, down in steps]))


def _crease(image: np.ndarray, path: np.ndarray, width: float, depth: float) -> None:
  """Adds a valley with raised shoulders along a path."""
  line = np.zeros_like(image)
  n = len(path) - 1
  for k in range(n):
    fade = np.sin(np.pi * (k + 0.5) / n) ** 0.6
    cv2.line(
      line,
      _eighths(path[k]),
      _eighths(path[k + 1]),
      float(fade),
      2,
      cv2.LINE_AA,
      3,
    )
  thin, wide = (
    cv2.GaussianBlur(line, (0, 0), width / 2),
    cv2.GaussianBlur(line, (0, 0), width * 1.6),
  )
  image -= depth * (thin * width / 2 - 0.9 * wide * width / 2)


def _smooth(points: np.ndarray, n: int = 24) -> np.ndarray:
  """A quadratic curve through 3, or a spline through more points."""
  t = np.linspace(0, len(points) - 1, n)
  order = min(len(points) - 1, 3)
  fit = [np.polyfit(np.arange(len(points)), points[:, c], order) for c in (0, 1)]
  return np.stack([np.polyval(f, t) for f in fit], -1)


def noise(rng, size: float, stretch: float = 1.0) -> np.ndarray:
  """Gaussian noise of unit deviation, smooth over `size` px (times `stretch` downwards)."""
  shrink = 4 if size >= 8 else 1  # smooth noise needs no fine grid
  grain = rng.standard_normal((HEIGHT // shrink, WIDTH // shrink), dtype=np.float32)
  smooth = cv2.GaussianBlur(grain, (0, 0), size / shrink, sigmaY=size / shrink * stretch)
  smooth = cv2.resize(smooth, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
  return smooth / smooth.std()


def _blob(marks: np.ndarray, index: int, radius: float) -> np.ndarray:
  x, y = np.meshgrid(np.arange(WIDTH, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32))
  squared = ((x - marks[index, 0]) * 1.6) ** 2 + (y - marks[index, 1]) ** 2
  return np.exp(-squared / (2 * (radius * SCALE) ** 2))


def _eighths(point: np.ndarray) -> tuple[int, int]:
  """A point as cv2 draws it with three bits after the point."""
  return int(point[0] * 8), int(point[1] * 8)


def _polygon(points: np.ndarray, blur: float) -> np.ndarray:
  mask = np.zeros((HEIGHT, WIDTH), np.float32)
  cv2.fillPoly(mask, [(points * 8).astype(np.int32)], 1.0, cv2.LINE_AA, 3)
  return cv2.GaussianBlur(mask, (0, 0), blur)


def _band(lower: np.ndarray, upper: np.ndarray, blur: float) -> np.ndarray:
  """The line half way between two contours with the same ends."""
  line = np.zeros((HEIGHT, WIDTH), np.float32)
  middle = (lower + upper[::-1]) / 2
  cv2.polylines(line, [middle.astype(np.int32)], False, 1.0, 6, cv2.LINE_AA)
  return np.clip(cv2.GaussianBlur(line, (0, 0), blur) * 1.6, 0, 1)


def _mix(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
  return a * (1 - weight[..., None]) + b * weight[..., None]
