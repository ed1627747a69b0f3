"""A z-buffer in plain PyTorch: projected triangles to what each pixel shows.

Every pixel of every triangle's bounding box is one row of a list; the nearest triangle of a pixel
is a maximum over integers that hold the nearness in front and the triangle's number behind.
"""

from typing import NamedTuple

import torch
from torch import Tensor

EDGE = 1e-4  # barycentric slack, so that rounding opens no cracks between neighbours


class Fragments(NamedTuple):
  """The N pixels that show something."""

  pixel: Tensor  # [N] row * size + column
  triangle: Tensor  # [N]
  barycentric: Tensor  # [N, 3] perspective-correct, sums to 1


def rasterize(projected: Tensor, triangles: Tensor, size: int) -> Fragments:
  """The nearest front-facing triangle of the pixels of a size x size image.

  Args:
    projected: [V, 3] x px, y px (down), depth; pixel centres are at (i + 0.5, j + 0.5).
    triangles: [F, 3].
    size: pixels.
  """
  corners = projected[triangles]
  pixel, triangle = _nearest(corners, size)
  return Fragments(pixel, triangle, _locate(corners[triangle], pixel, size))


def interpolate(fragments: Fragments, triangles: Tensor, attributes: Tensor) -> Tensor:
  """Interpolates vertex attributes [V, C] to the pixels that show something, [N, C]."""
  corners = attributes[triangles[fragments.triangle]]  # [N, 3, C]
  one, two, three = corners.unbind(1)
  first, second, third = fragments.barycentric.split(1, -1)
  return one * first + two * second + three * third


def _nearest(corners: Tensor, size: int) -> tuple[Tensor, Tensor]:
  """Pixels [N] and the triangle [N] that each shows."""
  device, (xy, depth) = corners.device, corners.split((2, 1), -1)
  one, two = xy[:, 1] - xy[:, 0], xy[:, 2] - xy[:, 0]
  area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
  low = torch.ceil(xy.amin(1) - 0.5).clamp(0, size).long()
  high = torch.floor(xy.amax(1) - 0.5).clamp(-1, size - 1).long()
  # y goes down: a front has area < 0. What touches the plane of the camera is not drawn.
  shown = (area < 0) & (depth[..., 0] > 0).all(1) & (high >= low).all(1)
  shown = shown.nonzero()[:, 0]
  if not len(shown):
    return shown, shown
  one, two, low, near = one[shown], two[shown], low[shown], 1 / depth[shown, :, 0]
  inverse = 1 / area[shown]
  first = low + 0.5 - xy[shown, 0]  # of the first pixel's centre, from corner 0
  slope2 = torch.stack([two[:, 1], -two[:, 0]], -1) * inverse[:, None]
  slope3 = torch.stack([-one[:, 1], one[:, 0]], -1) * inverse[:, None]
  planes = torch.stack(  # the second and the third barycentric coordinate: at `low`, per x, per y
    [(first * slope2).sum(1), *slope2.unbind(1), (first * slope3).sum(1), *slope3.unbind(1)]
  )

  wide, tall = ((high[shown] - low) + 1).unbind(1)
  counts = wide * tall
  row = torch.repeat_interleave(torch.arange(len(shown), device=device), counts)
  place = torch.arange(len(row), device=device) - (counts.cumsum(0) - counts)[row]
  y = place // wide[row]
  x = place - y * wide[row]
  start2, x2, y2, start3, x3, y3 = planes[:, row]
  second, third = start2 + x * x2 + y * y2, start3 + x * x3 + y * y3
  first = 1 - second - third
  inside = (torch.minimum(torch.minimum(first, second), third) >= -EDGE).nonzero()[:, 0]
  row, first, second, third = row[inside], first[inside], second[inside], third[inside]
  pixel = (low[row, 1] + y[inside]) * size + low[row, 0] + x[inside]

  near0, near1, near2 = near[row].unbind(1)
  nearness = first * near0 + second * near1 + third * near2
  bits = len(corners).bit_length()
  levels = 2 ** min(32 - bits, 24) - 1
  scale = levels / (near.max() - near.min()).clamp(min=1e-12)
  level = ((nearness - near.min()) * scale).clamp(0, levels).long()
  keys = torch.zeros(size * size, dtype=torch.long, device=device)
  keys.scatter_reduce_(0, pixel, (level << bits) | (shown[row] + 1), 'amax')
  hit = keys.nonzero()[:, 0]
  return hit, (keys[hit] & ((1 << bits) - 1)) - 1


def _locate(corners: Tensor, pixel: Tensor, size: int) -> Tensor:
  """Barycentric coordinates [N, 3] of the pixels' centres in triangles [N, 3, 3]."""
  px, py = pixel % size + 0.5, pixel // size + 0.5
  (x0, y0, z0), (x1, y1, z1), (x2, y2, z2) = (corner.unbind(1) for corner in corners.unbind(1))
  inverse = 1 / ((x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0))
  second = ((px - x0) * (y2 - y0) - (py - y0) * (x2 - x0)) * inverse
  third = ((x1 - x0) * (py - y0) - (y1 - y0) * (px - x0)) * inverse
  weights = torch.stack([(1 - second - third) / z0, second / z1, third / z2], -1)
  return weights / weights.sum(-1, keepdim=True)
