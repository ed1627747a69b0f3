"""Landmark distances in the field's form: 68 points, in pixels, on aligned crops (method 5.3).

The points are those of the iBUG scheme, taken from the face mesh; they are projected from
coefficients under the recorded pose and not detected in pictures, so a painter does not count. Each
frame is aligned by the similarity that brings nose and eyes (27..47) onto those of the mean head at
rest, looked at from the front, on a crop of `Protocol.crop` pixels.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from gmtalker_jax.data import schema
from gmtalker_jax.evaluation.metrics.metric import Metric
from gmtalker_jax.evaluation.performers import performances
from gmtalker_jax.evaluation.sample import Sample
from gmtalker_jax.evaluation.study import Record, Study, part
from gmtalker_jax.face.camera import DEFAULT
from gmtalker_jax.face.landmark_model import LandmarkModel

# iBUG's 68 points on the face mesh, from the viewer's left to right: jaw, brows, nose, eyes, lips.
POINTS = np.array([
  162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389,
  71, 63, 105, 66, 107, 336, 296, 334, 293, 301,
  168, 197, 5, 4, 75, 97, 2, 326, 305,
  33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
  61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,
  78, 82, 13, 312, 308, 317, 14, 87,
])  # fmt: skip
MOUTH, _STEADY = slice(48, 68), slice(27, 48)


@part
def distances(study: Study) -> dict[str, Sample]:
  """Of everybody, per clip: M-LMD, F-LMD, M-LMVD, F-LMVD."""
  study.progress('landmarks in pixels')
  model, size = LandmarkModel.of(study.talker.head), study.protocol.crop
  template = project(model.mean[POINTS], size)[_STEADY]

  def place(expression: np.ndarray, record: Record) -> np.ndarray:
    points = model.place(expression, record['identity'])[:, POINTS]
    turn = Rotation.from_euler('xyz', record['motion'][:, schema.ROTATION]).as_matrix()
    shift = record['motion'][:, None, schema.TRANSLATION]
    return aligned(project(np.einsum('tij,tnj->tni', turn, points) + shift, size), template)

  found = {}
  for who, shown in performances(study).items():
    pairs = zip(shown.expression, shown.records, strict=True)
    rows = [_compare(place(e, r), place(r['expression'], r)) for e, r in pairs]
    found[who] = Sample.of([r['id'] for r in shown.records], rows)
  return found


def project(points: np.ndarray, size: int) -> np.ndarray:
  """Points [..., N, 3] in camera axes to pixels [..., N, 2], as face.camera does."""
  scale = DEFAULT.focal * size / (DEFAULT.distance - points[..., 2:])
  return size / 2 + scale * points[..., :2] * np.array([1.0, -1.0])


def aligned(points: np.ndarray, template: np.ndarray) -> np.ndarray:
  """Moves points [T, 68, 2] by the similarity that fits their nose and eyes to the template."""
  plane = points[..., 0] + 1j * points[..., 1]
  wanted = template[:, 0] + 1j * template[:, 1]
  here, there = plane[:, _STEADY].mean(1, keepdims=True), wanted.mean()
  x, y = plane[:, _STEADY] - here, wanted - there
  turn = (x.conj() * y).sum(1, keepdims=True) / (np.abs(x) ** 2).sum(1, keepdims=True)
  moved = turn * (plane - here) + there
  return np.stack([moved.real, moved.imag], -1)


def distance(predicted: np.ndarray, truth: np.ndarray) -> float:
  """LMD of points [T, N, 2]: each frame's mean is subtracted first, without any scaling."""
  centred = [p - p.mean(1, keepdims=True) for p in (predicted, truth)]
  return float(np.linalg.norm(centred[0] - centred[1], axis=-1).mean())


def velocity_distance(predicted: np.ndarray, truth: np.ndarray) -> float:
  """The same of the differences from frame to frame [T, N, 2]; 0 of a single frame."""
  if len(truth) < 2:
    return 0.0
  return float(np.linalg.norm(np.diff(predicted, axis=0) - np.diff(truth, axis=0), axis=-1).mean())


def _compare(ours: np.ndarray, truth: np.ndarray) -> list[float]:
  parts = (MOUTH, slice(None))
  return [m(ours[:, p], truth[:, p]) for m in (distance, velocity_distance) for p in parts]


def _entry(name: str, column: int, unit: str, definition: str) -> Metric:
  return Metric(
    name=name,
    samples=distances,
    combine=lambda row: row[..., column],
    unit=unit,
    better='lower',
    truth=0.0,
    hears=column != 1,
    needs=('records', 'portrait_records'),
    definition=definition,
  )


METRICS = (
  _entry(
    'm_lmd_px', 0, 'pixels',
    'M-LMD: 20 mouth points of 68, projected from coefficients under the recorded pose, aligned by '
    "nose and eyes on a crop of the protocol's size (256), each frame's mean subtracted, Euclidean "
    'distance, mean over points, frames and clips (form of EAT\'s test_lmd; points not detected)',
  ),
  _entry('f_lmd_px', 1, 'pixels', 'F-LMD: as m_lmd_px with all 68 points'),
  _entry(
    'm_lmvd_px', 2, 'pixels a frame',
    'M-LMD of velocities: the difference from frame to frame of the 20 mouth points as in '
    'm_lmd_px, distance to that of the truth',
  ),
  _entry('f_lmvd_px', 3, 'pixels a frame', 'as m_lmvd_px with all 68 points'),
)  # fmt: skip
