"""A sway of shoulders (schema.SWAY_NAMES) as a map of the plane, and back."""

import numpy as np

_CORNERS = np.array([[-0.4, 0, 1], [0.4, 0, 1], [-0.2, 0.25, 1], [0.2, 0.25, 1]])  # of shoulders


def whole(sway: np.ndarray) -> np.ndarray:
  """A sway as the map [3, 3] from rest, see schema.SWAY_NAMES."""
  return np.eye(3) + np.append(sway, 0).reshape(3, 3)


def less_identity(there: np.ndarray) -> np.ndarray:
  """The inverse of `whole`."""
  return (there / there[2, 2] - np.eye(3)).ravel()[:8]


def rigid(sway: np.ndarray) -> np.ndarray:
  """The rigid motion [8] in the plane that is nearest to a sway, about the pivot."""
  angle = np.arctan2(sway[3] - sway[1], 2 + sway[0] + sway[4])
  cosine, sine = np.cos(angle), np.sin(angle)
  return np.array([cosine - 1, -sine, sway[2], sine, cosine - 1, sway[5], 0, 0])


def centred(sways: np.ndarray) -> np.ndarray:
  """The sways [N, 8] from a rest that lies in the middle of what is seen."""
  back = np.linalg.inv(whole(sways.mean(0)))
  return np.stack([less_identity(whole(sway) @ back) for sway in sways])


def corners(sway: np.ndarray) -> np.ndarray:
  """Where [4, 2] the corners of shoulders are."""
  places = _CORNERS @ whole(sway).T
  return places[:, :2] / places[:, 2:]


def matrix(sway: np.ndarray, size: int) -> np.ndarray:
  """A sway as [3, 3] in pixels of a picture: from rest to where it is."""
  there = _pixels(size) @ whole(sway) @ np.linalg.inv(_pixels(size))
  return there / there[2, 2]


def from_matrix(there: np.ndarray, size: int) -> np.ndarray:
  """The inverse of `matrix`."""
  return less_identity(np.linalg.inv(_pixels(size)) @ there @ _pixels(size))


def _pixels(size: int) -> np.ndarray:
  """[3, 3]: from sides of the picture, x right and y up, to its pixels as OpenCV counts them."""
  return np.array([[size, 0, size / 2 - 0.5], [0, -size, size - 0.5], [0, 0, 1.0]])
