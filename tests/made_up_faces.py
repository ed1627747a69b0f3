"""Small files in the form of BFM, FaceVerse and GNM, made of nothing but formulas."""

import numpy as np

from gmtalker_jax.data import schema


def ball(radius=0.8, rings=10, sides=16):
  """Vertices [V, 3] and triangles [F, 3], outwards, of a ball without its poles."""
  heights, turns = np.meshgrid(
    np.linspace(0.2, np.pi - 0.2, rings), np.arange(sides) * 2 * np.pi / sides, indexing='ij'
  )
  points = np.stack(
    [np.sin(heights) * np.sin(turns), np.cos(heights), np.sin(heights) * np.cos(turns)], -1
  )
  number = lambda i, j: i * sides + j % sides  # noqa: E731
  triangles = []
  for i in range(rings - 1):
    for j in range(sides):
      triangles += [
        [number(i, j), number(i + 1, j), number(i, j + 1)],
        [number(i + 1, j), number(i + 1, j + 1), number(i, j + 1)],
      ]
  return radius * points.reshape(-1, 3), np.array(triangles)


def bust(size):
  """A head with two eyeballs: vertices, triangles, and where each of the three begins and ends."""
  eye = max(size[0] // 2, 3), max(size[1] // 2, 4)
  parts = [ball(0.8, *size), ball(0.1, *eye), ball(0.1, *eye)]
  shifts = ([0, 0, 0], [0.3, 0.2, 0.75], [-0.3, 0.2, 0.75])  # the subject's left eye comes first
  ends = np.cumsum([len(points) for points, _ in parts])
  starts = ends - [len(points) for points, _ in parts]
  points = np.concatenate([p + shift for (p, _), shift in zip(parts, shifts, strict=True)])
  triangles = [t + start for (_, t), start in zip(parts, starts, strict=True)]
  return points, triangles, ends


def bfm(size=(10, 16)):
  """The arrays of BFM_model_front.mat; its numbers begin at 1."""
  numbers = np.random.default_rng(0)
  points, triangles = ball(0.8, *size)
  count = len(points)
  return {
    'meanshape': points.reshape(1, -1),
    'meantex': np.tile([200.0, 150, 120], count)[None],
    'idBase': 0.01 * numbers.normal(size=(3 * count, 80)),
    'exBase': 0.01 * numbers.normal(size=(3 * count, 64)),
    'texBase': numbers.normal(size=(3 * count, 80)),
    'tri': (triangles + 1).astype(float),
    'keypoints': 1.0 + np.arange(68)[None] % count,
  }


def bfm_coefficients(frames=3, seed=1):
  """Frames [T, 257] as Deep3DFaceRecon writes them."""
  coeff = 0.5 * np.random.default_rng(seed).normal(size=(frames, 257)).astype(np.float32)
  coeff[:, 224:227] *= 0.4
  coeff[:, 227:254] *= 0.1
  coeff[:, 254:] *= 0.2
  return coeff


def faceverse(size=(10, 16)):
  """The dictionary of faceverse_v3_6_s.npy, in hundredths of its coefficients' lengths."""
  numbers = np.random.default_rng(0)
  points, triangles, ends = bust(size)
  lost = np.array([[0.0, 50, 0]])  # a vertex and a triangle that are not shown
  points, count = np.concatenate([100 * points, lost]), len(points) + 1
  hidden = np.array([[0, 1, count - 1]])
  return {
    'meanshape': points.astype(np.float32),
    'meantex': np.tile(np.float32([200, 150, 120]), (count, 1)),
    'idBase': numbers.normal(size=(3 * count, 150)).astype(np.float32),
    'exBase_52': numbers.normal(size=(3 * count, 52)).astype(np.float32),
    'texBase': numbers.normal(size=(3 * count, 251)).astype(np.float32),
    'tri': np.concatenate([*triangles, hidden]),
    'point_buf': np.zeros((count, 8), np.int64),
    'ver_inds': [int(end) for end in ends],
    'tri_inds': np.cumsum([len(part) for part in triangles]),
    'mediapipe_keypoints': (np.arange(478)[:, None] * 7) % ends[2],
    'exp_name_list_52': list(schema.BLENDSHAPES),
    'face_mask': np.ones(count),
  }


def faceverse_coefficients(frames=3, seed=1):
  """Frames [T, 490] as its tracker writes them."""
  coeff = 0.3 * np.random.default_rng(seed).normal(size=(frames, 490)).astype(np.float32)
  coeff[:, 150:202] = np.abs(coeff[:, 150:202])
  coeff[:, 483:486] *= 0.3
  return coeff


def gnm(size=(10, 16)):
  """The arrays of gnm_head.npz."""
  numbers = np.random.default_rng(0)
  points, triangles, ends = bust(size)
  count = len(points)
  owner = np.searchsorted(ends, np.arange(count), 'right')  # 0 head, 1 left, 2 right eye
  skinning = np.stack([0 * owner, owner == 0, owner == 1, owner == 2]).astype(np.float32)
  shell = owner == 3
  shell[ends[1] - size[1] : ends[1]] = True  # two rings of an eyeball stand for its clear front
  groups = {
    'skin': owner == 0, 'left_eye': owner == 1, 'right_eye': owner == 2, 'scleras': owner > 0,
    'eye_exteriors': shell, 'tongue': np.arange(count) < 20,
  }  # fmt: skip
  joints = np.array([[0, -1, 0], [0, -0.1, 0.1], [0.3, 0.2, 0.7], [-0.3, 0.2, 0.7]])
  return {
    'version': np.array('3.0'),
    'variant': np.array('head'),
    'template_vertex_positions': (0.1 * points).astype(np.float32),
    'template_joint_positions': (0.1 * joints).astype(np.float32),
    'vertex_identity_basis': 1e-3 * numbers.normal(size=(5, count, 3)).astype(np.float32),
    'joint_identity_basis': np.zeros((5, 4, 3), np.float32),
    'expression_basis': 1e-3 * numbers.normal(size=(383, count, 3)).astype(np.float32),
    'joint_names': np.array(['neck', 'head', 'left_eye', 'right_eye']),
    'joint_parent_indices': np.array([0, 0, 1, 1]),
    'skinning_weights': skinning,
    'triangles': np.concatenate(triangles).astype(np.int32),
    'vertex_groups': np.stack([g.astype(np.float32) for g in groups.values()]),
    'vertex_group_names': np.array(list(groups)),
  }
