"""Head, hair, lashes and bust as one mesh that follows the coefficients."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gmtalker_jax.data import schema
from gmtalker_jax.face import camera as cameras
from gmtalker_jax.face import morphable, raster, render
from gmtalker_jax.face.landmarks import UPPER_LIDS
from gmtalker_jax.face.morphable import Head
from gmtalker_jax.face.person import Person
from gmtalker_jax.types import Coefficients

from . import bust, canvas, hair
from .appearance import Appearance

# Materials, one per triangle. The first six are the head's own groups.
SKIN, LEFT_EYE, RIGHT_EYE, UPPER_TEETH, LOWER_TEETH, TONGUE, HAIR, CLOTH, LASH = range(9)

# Activations of the wrinkles: where on the mean face (landmark, reach) and by which blendshapes.
WRINKLES = (  # (channel, landmark, reach, {blendshape: gain})
  (0, 151, 0.20, {'browInnerUp': 0.9, 'browOuterUpLeft': 0.25, 'browOuterUpRight': 0.25}),
  (0, 334, 0.20, {'browOuterUpLeft': 0.9, 'browInnerUp': 0.3}),
  (0, 105, 0.20, {'browOuterUpRight': 0.9, 'browInnerUp': 0.3}),
  (0, 263, 0.14, {'cheekSquintLeft': 0.7, 'mouthSmileLeft': 0.45, 'eyeSquintLeft': 0.4}),
  (0, 33, 0.14, {'cheekSquintRight': 0.7, 'mouthSmileRight': 0.45, 'eyeSquintRight': 0.4}),
  (0, 426, 0.16, {'mouthSmileLeft': 0.75, 'noseSneerLeft': 0.6, 'cheekSquintLeft': 0.3,
                  'mouthUpperUpLeft': 0.4}),
  (0, 206, 0.16, {'mouthSmileRight': 0.75, 'noseSneerRight': 0.6, 'cheekSquintRight': 0.3,
                  'mouthUpperUpRight': 0.4}),
  (1, 9, 0.13, {'browDownLeft': 0.6, 'browDownRight': 0.6, 'browInnerUp': 0.15}),
  (1, 6, 0.10, {'noseSneerLeft': 0.6, 'noseSneerRight': 0.6}),
)  # fmt: skip


class Figure(NamedTuple):
  """Arrays of one person; V head vertices, then lashes, hair and bust."""

  head: Head  # of the person
  triangles: jax.Array  # [F, 3]
  material: jax.Array  # [F]
  coordinates: jax.Array  # [N, 2] canvas, or strand, or weave coordinates
  extra: jax.Array  # [N, 3] eye: direction; hair: tangent; skin: (inside the mouth, 0, 0)
  occlusion: jax.Array  # [N]
  grip: jax.Array  # [N] 1 = moves with the head, 0 = stays with the body
  added: jax.Array  # [N - V - lashes, 3] hair and bust, neutral pose
  added_normals: jax.Array
  wrinkle_regions: jax.Array  # [N, 2, 52] activation per blendshape weight
  lash_triangle: jax.Array  # [L, 3] vertices that carry each lash root
  lash_weight: jax.Array  # [L, 3]
  lash_root: jax.Array  # [P] which root each lash point starts from
  lash_open: jax.Array  # [P, 3] offsets with the eye open
  lash_shut: jax.Array  # [P, 3] and shut
  lash_side: jax.Array  # [P] 0 left, 1 right


class Pose(NamedTuple):
  """The mesh in one frame, in camera axes."""

  points: jax.Array  # [N, 3]
  normals: jax.Array  # [N, 3]
  tangents: jax.Array  # [N, 3] `extra`, turned with the head where it is a direction of hair
  wrinkles: jax.Array  # [N, 2]


def build(look: Appearance, head: Head, identity: np.ndarray) -> Figure:
  """Assembles a person's mesh from the head model and identity coefficients [I]."""
  own = render.personal(head, Person.plain(jnp.asarray(identity, jnp.float32)))
  mean, neutral, triangles = map(np.asarray, (head.mean, own.mean, head.triangles))
  group = np.asarray(head.triangle_group)
  skin = triangles[group == 0]
  marks = np.asarray(morphable.landmarks(head, head.mean))
  locks = hair.grow(look, mean, neutral, skin)
  torso = bust.build(look, neutral, skin)
  lashes = _lashes(look, head, own)
  count, lashed, combed, bodied = (
    len(mean),
    len(lashes['root']),
    len(locks.points),
    len(torso.points),
  )
  after = count + lashed
  shown = neutral[triangles][..., 1].min(1) > bust.neck_base(neutral, skin) - 0.04
  bare = torso.cloth < 0.5
  inside = _inside_mouth(mean, skin, marks)
  return Figure(
    head=own,
    triangles=_i32(triangles * shown[:, None], lashes['triangles'] + count, locks.triangles + after,
                   torso.triangles + after + combed),
    material=_i32(group, np.full(len(lashes['triangles']), LASH),
                  np.full(len(locks.triangles), HAIR),
                  np.where(bare[torso.triangles[:, 0]], SKIN, CLOTH)),
    coordinates=_f32(canvas.address(mean), np.zeros((lashed, 2)), locks.coordinates,
                     np.where(bare[:, None], canvas.address(torso.points), torso.coordinates)),
    extra=_f32(render.eye_directions(head) + inside[:, None] * [1.0, 0, 0], np.zeros((lashed, 3)),
               locks.tangents, np.zeros((bodied, 3))),
    occlusion=_f32(_occlusion(mean, inside), np.ones(lashed), locks.occlusion, _under_chin(torso)),
    grip=_f32(_grip(mean), np.ones(lashed), _grip(locks.points), np.zeros(bodied)),
    added=_f32(locks.points, torso.points),
    added_normals=_f32(locks.normals, torso.normals),
    wrinkle_regions=_f32(_wrinkle_regions(mean, marks),
                         np.zeros((lashed + combed + bodied, 2, len(schema.BLENDSHAPES)))),
    lash_triangle=_i32(lashes['carrier']),
    lash_weight=_f32(lashes['weight']),
    lash_root=_i32(lashes['root']),
    lash_open=_f32(lashes['open']),
    lash_shut=_f32(lashes['shut']),
    lash_side=_i32(lashes['side']),
  )  # fmt: skip


def pose(figure: Figure, coefficients: Coefficients) -> Pose:
  """Moves the mesh for one frame: expression [50], motion [12]."""
  motion = coefficients.motion
  weights = morphable.blendshapes(coefficients)
  face = morphable.vertices(figure.head, jnp.zeros(0), weights, motion[schema.GAZE])
  normals = render.normals(face, figure.head.triangles)
  lashes = _place_lashes(figure, face, motion[schema.BLINK])
  points = jnp.concatenate([face, lashes, figure.added])
  forward = jnp.broadcast_to(jnp.array([0.0, 0.0, 1.0]), lashes.shape)
  normals = jnp.concatenate([normals, forward, figure.added_normals])
  turn = morphable.rotation_matrix(motion[schema.ROTATION])
  grip = figure.grip[:, None]
  moved = points @ turn.T + motion[schema.TRANSLATION][None]
  lead = len(face) + len(lashes)
  tangents = jnp.concatenate([figure.extra[:lead], figure.extra[lead:] @ turn.T])
  activation = jnp.einsum('nck,k->nc', figure.wrinkle_regions, weights)
  turned = grip * (normals @ turn.T) + (1 - grip) * normals
  return Pose(grip * moved + (1 - grip) * points, turned, tangents, activation)


def _f32(*parts) -> jax.Array:
  return jnp.asarray(np.concatenate(parts).astype(np.float32))


def _i32(*parts) -> jax.Array:
  return jnp.asarray(np.concatenate(parts).astype(np.int32))


def _grip(points: np.ndarray) -> np.ndarray:
  """How much of the head's motion a point follows: the neck bends from its root to the skull."""
  along = points[:, 1] + 0.35 * points[:, 2]
  t = np.clip((along + 0.74) / 0.42, 0, 1)
  return t * t * (3 - 2 * t)


def _under_chin(torso: bust.Bust) -> np.ndarray:
  x, y, _ = torso.points.T
  shade = np.exp(-((x / 0.45) ** 2)) * np.exp(-(((y + 0.72) / 0.22) ** 2))
  return 1 - 0.45 * shade


@partial(jax.jit, static_argnames='size')
def _front(projected: jax.Array, triangles: jax.Array, size: int) -> jax.Array:
  return raster.rasterize(projected, triangles, size).depth


def _inside_mouth(mean: np.ndarray, skin: np.ndarray, marks: np.ndarray) -> np.ndarray:
  """[V] 0..1: how deep skin lies behind the closed lips (and in the nostrils)."""
  size = 192
  seen = np.asarray(cameras.project(cameras.DEFAULT, jnp.asarray(mean), size))
  front = np.asarray(_front(jnp.asarray(seen), jnp.asarray(skin), size))
  column, row = np.clip(seen[:, :2].astype(int), 0, size - 1).T
  buried = seen[:, 2] - front[row, column]
  x, y, _ = (mean - (marks[13] + marks[14]) / 2).T
  near = (np.abs(x) < 0.25) & (y > -0.30) & (y < 0.22)
  return np.where(near, np.clip((buried - 0.035) / 0.03, 0, 1), 0.0)


def _occlusion(mean: np.ndarray, inside: np.ndarray) -> np.ndarray:
  """[V] ambient light that reaches a vertex: analytic, soft."""
  x, y, z = mean.T
  chin = (
    np.exp(-(((y + 0.50) / 0.13) ** 2))
    * np.exp(-((x / 0.38) ** 2))
    * np.clip((0.42 - z) / 0.2, 0, 1)
  )
  eyes = sum(np.exp(-(((x - s * 0.12) / 0.09) ** 2) - ((y - 0.25) / 0.07) ** 2) for s in (-1, 1))
  nose = sum(np.exp(-(((x - s * 0.06) / 0.035) ** 2) - ((y + 0.055) / 0.028) ** 2) for s in (-1, 1))
  ear = np.clip((np.abs(x) - 0.5) / 0.1, 0, 1)
  return np.clip(
    (1 - 0.55 * chin)
    * (1 - 0.28 * eyes)
    * (1 - 0.45 * nose)
    * (1 - 0.15 * ear)
    * (1 - 0.8 * inside),
    0,
    1,
  )


def _wrinkle_regions(mean: np.ndarray, marks: np.ndarray) -> np.ndarray:
  regions = np.zeros((len(mean), 2, len(schema.BLENDSHAPES)))
  for channel, landmark, reach, gains in WRINKLES:
    near = np.exp(-((mean - marks[landmark]) ** 2).sum(-1) / (2 * reach**2) * 1.6)
    for name, gain in gains.items():
      regions[:, channel, schema.BLENDSHAPES.index(name)] += gain * near
  return regions


def _lashes(look: Appearance, head: Head, own: Head) -> dict[str, np.ndarray]:
  """Thin curved triangles from the edge of each upper lid."""
  triangles = np.asarray(head.triangles)[np.asarray(head.landmark_triangle)]
  weights = np.asarray(head.landmark_barycentric)
  points = np.asarray(morphable.landmarks(own, own.mean))
  long = 0.052 if look.woman else 0.030
  carrier, weight, root, opened, shut, side, faces = [], [], [], [], [], [], []
  for s, lid in enumerate(UPPER_LIDS):
    outward = 1.0 if s == 0 else -1.0
    first = len(carrier)
    carrier += [triangles[i] for i in lid]
    weight += [weights[i] for i in lid]
    for k in range(len(lid) - 1):
      base = points[lid[k + 1]] - points[lid[k]]
      for j in range(3):
        n, f = len(root), j / 3
        fan = outward * (0.9 - 1.3 * (k + f) / len(lid))
        reach = long * (1.15 - 0.6 * (k + f) / len(lid))
        root += [first + k] * 3
        up = np.array((0.75 * fan, 0.55, 0.75)) * reach
        down = np.array((0.6 * fan, -0.55, 0.75)) * reach
        here, there = base * f, base * (f + 0.34)
        lift = np.array((0, 0.002, 0.006))
        opened += [here + lift, there + lift, (here + there) / 2 + up]
        shut += [here + lift, there + lift, (here + there) / 2 + down]
        side += [s] * 3
        faces += [[n, n + 1, n + 2], [n + 1, n, n + 2]]  # seen from both sides
  return {
    'carrier': np.array(carrier), 'weight': np.array(weight), 'root': np.array(root),
    'open': np.array(opened), 'shut': np.array(shut), 'side': np.array(side),
    'triangles': np.array(faces),
  }  # fmt: skip


def _place_lashes(figure: Figure, face: jax.Array, blink: jax.Array) -> jax.Array:
  roots = (face[figure.lash_triangle] * figure.lash_weight[..., None]).sum(1)
  closed = jnp.clip(blink[figure.lash_side], 0, 1)[:, None]
  return roots[figure.lash_root] + figure.lash_open * (1 - closed) + figure.lash_shut * closed
