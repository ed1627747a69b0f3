"""The 3D head of one person: coefficients to vertices, vertices to a picture.

Head space: the unit is the width of the head, the origin a pivot near the atlas, x to the right of
the image (the subject's left), y up, z to the camera. Rotations are radians with R = Rz Ry Rx.
"""

import math

import torch
from torch import Tensor, nn

from . import raster

FOCAL = 1315 / 512  # image widths
DISTANCE = 6.0  # of the camera from the origin, head widths
BLINK = 8  # place of the two blinks among the 52 blendshapes (ARKit, alphabetical)

IRIS, PUPIL = 0.50, 0.20  # radii on the eyeball as a share of its own
IRIS_COLOUR, RIM_COLOUR, PUPIL_COLOUR = (0.36, 0.24, 0.15), (0.13, 0.09, 0.07), (0.02, 0.02, 0.02)


class Head(nn.Module):
  """A linear head with the shape, skin and light of one person. V vertices, F triangles."""

  mean: Tensor  # [V, 3] at rest
  expression: Tensor  # [52, V, 3]
  triangles: Tensor  # [F, 3] counter-clockwise from outside
  albedo: Tensor  # [V, 3] linear reflectance 0..1
  eye_centre: Tensor  # [2, 3] left, right
  eye_vertices: Tensor  # [2, N]
  light: Tensor  # [9, 1 or 3] spherical harmonics
  uv: Tensor  # [V, 2] address in the texture
  skin: Tensor  # [V] how far the texture covers it
  texture: Tensor | None  # [R, R, 3]
  eyes: Tensor | None  # [2, 3] albedo of white and iris
  iris: Tensor | None  # [] its radius on the eyeball; None: IRIS
  bust: Tensor | None  # [R, R, 4] collar and shoulders at rest, 0..1, and where they cover
  bust_follows: Tensor | None  # [7, 8] (1, pose) -> a projective map less the identity

  def __init__(self, tensors: dict[str, Tensor]):
    """Takes the tensors above, by name."""
    super().__init__()
    for name in (
      'mean',
      'expression',
      'triangles',
      'albedo',
      'eye_centre',
      'eye_vertices',
      'light',
      'uv',
      'skin',
    ):
      self.register_buffer(name, tensors[name])
    # None: the head's own, or none.
    for name in ('texture', 'eyes', 'iris', 'bust', 'bust_follows'):
      self.register_buffer(name, tensors.get(name))

  def vertices(self, expression: Tensor, motion: Tensor) -> Tensor:
    """expression [50] and motion [12] -> posed vertices [V, 3]."""
    weights = torch.cat([expression[:BLINK], motion[6:8], expression[BLINK:]])
    moved = self.mean + torch.tensordot(weights, self.expression, 1)
    moved = moved.index_copy(0, self.eye_vertices.flatten(), self._eyeballs(motion[8:12]))
    return moved @ rotation_matrix(motion[:3]).T + motion[3:6]

  def render(self, expression: Tensor, motion: Tensor, size: int) -> Tensor:
    """One picture uint8 [size, size, 3] on black; the bust follows the head."""
    vertices = self.vertices(expression, motion)
    depth = DISTANCE - vertices[:, 2]
    scale = FOCAL * size / depth
    projected = [size / 2 + scale * vertices[:, 0], size / 2 - scale * vertices[:, 1], depth]
    fragments = raster.rasterize(torch.stack(projected, -1), self.triangles, size)
    attributes = [self.albedo, normals(vertices, self.triangles), self._eye_directions()]
    attributes += [self.uv, self.skin[:, None]]
    pixels = raster.interpolate(fragments, self.triangles, torch.cat(attributes, -1))
    albedo, normal, eye, address, covered = pixels.split((3, 3, 3, 2, 1), -1)
    albedo = self._paint_eyes(albedo, eye)
    if self.texture is not None:
      albedo = albedo + covered * (look_up(self.texture, address) - albedo)
    colour = (albedo * shade(_unit(normal), self.light)).clamp(0, 1)
    picture = colour.new_full((size * size, 3), -1.0)
    picture[fragments.pixel] = colour * 2 - 1
    picture = self._dress(picture.reshape(size, size, 3), motion)
    return ((picture + 1) * 127.5).round().to(torch.uint8)

  def _dress(self, picture: Tensor, motion: Tensor) -> Tensor:
    """Lays collar and shoulders over the lower half of a picture [S, S, 3] -1..1."""
    if self.bust is None or self.bust_follows is None:
      return picture
    size = len(picture)
    half = size // 2
    sway = self.bust_follows[0] + motion[:6] @ self.bust_follows[1:]
    there = torch.cat([sway, sway.new_zeros(1)]).reshape(3, 3) + torch.eye(3, device=sway.device)
    place = (torch.arange(size, device=sway.device) + 0.5) / size
    y, x = torch.meshgrid(1 - place[half:], place - 0.5, indexing='ij')
    points = torch.stack([x, y, torch.ones_like(x)], -1) @ torch.linalg.inv(there).T
    across, up, depth = points.unbind(-1)
    address = torch.stack([across / depth + 0.5, 1 - up / depth], -1)
    colour, cover = look_up(self.bust, address).split((3, 1), -1)
    lower = picture[half:] + cover * (colour * 2 - 1 - picture[half:])
    return torch.cat([picture[:half], lower])

  def _eyeballs(self, gaze: Tensor) -> Tensor:
    """[2 N, 3]: the eyeballs turn as rigid bodies by pitch and yaw about their own centres."""
    turns = rotation_matrix(torch.cat([gaze.reshape(2, 2), gaze.new_zeros(2, 1)], -1))
    arms = self.mean[self.eye_vertices] - self.eye_centre[:, None]
    return (arms @ turns.transpose(1, 2) + self.eye_centre[:, None]).flatten(0, 1)

  def _eye_directions(self) -> Tensor:
    """[V, 3]: on the eyeballs, the direction from the centre in the eye's own axes."""
    arms = _unit(self.mean[self.eye_vertices] - self.eye_centre[:, None])
    return torch.zeros_like(self.mean).index_copy(
      0, self.eye_vertices.flatten(), arms.flatten(0, 1)
    )

  def _paint_eyes(self, albedo: Tensor, eye: Tensor) -> Tensor:
    """Paints pupil, iris and its dark rim where `eye` [N, 3] is the surface of an eyeball."""
    iris, rim, pupil = (albedo.new_tensor(c) for c in (IRIS_COLOUR, RIM_COLOUR, PUPIL_COLOUR))
    if self.eyes is not None:
      white, iris = self.eyes
      albedo = torch.where(eye.square().sum(-1, keepdim=True) > 0.25, white, albedo)
      rim = iris * (RIM_COLOUR[0] / IRIS_COLOUR[0])
    eye = _unit(eye)
    radius = torch.sqrt(eye[..., :1] ** 2 + eye[..., 1:2] ** 2 + 1e-12)
    if self.iris is not None:
      radius = radius * (IRIS / self.iris)
    for edge, colour, soft in ((IRIS, rim, 0.06), (IRIS - 0.1, iris, 0.1), (PUPIL, pupil, 0.06)):
      share = ((edge - radius) / soft + 0.5).clamp(0, 1) * (eye[..., 2:] > 0.5)
      albedo = albedo + share * (colour - albedo)
    return albedo


def rotation_matrix(angles: Tensor) -> Tensor:
  """R = Rz Ry Rx [..., 3, 3] of right-handed angles x, y, z [..., 3] in rad."""
  (cx, cy, cz), (sx, sy, sz) = angles.cos().unbind(-1), angles.sin().unbind(-1)
  rows = (
    (cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx),
    (sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx),
    (-sy, cy * sx, cy * cx),
  )
  return torch.stack([torch.stack(row, -1) for row in rows], -2)


def normals(vertices: Tensor, triangles: Tensor) -> Tensor:
  """Unit vertex normals [V, 3]: the sum of the triangles' normals, weighted by their areas."""
  a, b, c = vertices[triangles].unbind(1)
  faces = torch.cross(b - a, c - a, dim=-1)
  total = torch.zeros_like(vertices)
  for corner in triangles.unbind(1):
    total = total.index_add(0, corner, faces)
  return _unit(total)


def shade(normal: Tensor, light: Tensor) -> Tensor:
  """Irradiance [..., C] of unit normals [..., 3] under spherical harmonics [9, C]."""
  a0, a1, a2 = math.pi, 2 * math.pi / math.sqrt(3), 2 * math.pi / math.sqrt(8)
  c0, c1 = 1 / math.sqrt(4 * math.pi), math.sqrt(3) / math.sqrt(4 * math.pi)
  c2 = 3 * math.sqrt(5) / math.sqrt(12 * math.pi)
  x, y, z = normal.unbind(-1)
  basis = (
    torch.full_like(x, a0 * c0),
    -a1 * c1 * y,
    a1 * c1 * z,
    -a1 * c1 * x,
    a2 * c2 * x * y,
    -a2 * c2 * y * z,
    a2 * c2 * 0.5 / math.sqrt(3) * (3 * z * z - 1),
    -a2 * c2 * x * z,
    a2 * c2 * 0.5 * (x * x - y * y),
  )
  return (torch.stack(basis, -1) @ light).clamp(min=0.0)


def look_up(texture: Tensor, address: Tensor) -> Tensor:
  """Bilinear colours [..., C] of a texture [R, R, C] at addresses [..., 2] in 0..1."""
  size = len(texture)
  at = (address * size - 0.5).clamp(0, size - 1)
  low = at.long().clamp(max=size - 2)
  u, v = (at - low).split(1, -1)
  column, row = low.unbind(-1)
  top = (1 - u) * texture[row, column] + u * texture[row, column + 1]
  bottom = (1 - u) * texture[row + 1, column] + u * texture[row + 1, column + 1]
  return (1 - v) * top + v * bottom


def _unit(vectors: Tensor) -> Tensor:
  return vectors * torch.rsqrt(vectors.square().sum(-1, keepdim=True).clamp(min=1e-20))
