"""Continues a texture where nobody saw it, so that no seam shows."""

import cv2
import numpy as np

_MARGIN = 5  # texels over which what was seen fades into what was not
_RATIO = (0.6, 1.6)  # how much brighter or darker a side may be than its mirror image


def fill(texture: np.ndarray, trust: np.ndarray) -> np.ndarray:
  """Fills what is not trusted: from the mirror image first, then smoothly from all around.

  Args:
    texture: [R, R, 3] 0..1 on a chart whose mirror image is left for right.
    trust: [R, R] 0..1.

  Returns:
    [R, R, 3] 0..1; what is trusted wholly, and two margins from what is not, is unchanged.
  """
  trust = _soften(trust)
  mirrored, other = texture[:, ::-1], trust[:, ::-1]
  # Light or fit may leave one side brighter; the difference is smooth, and known where both are.
  both = (np.minimum(trust, other) > 0.5).astype(np.float32)
  ratio = np.clip(texture / np.maximum(mirrored, 0.02), *_RATIO)
  mirrored = mirrored * spread(ratio, both, np.ones(texture.shape[-1], np.float32))
  share = trust + (1 - trust) * other
  known = trust[..., None] * texture + ((1 - trust) * other)[..., None] * mirrored
  known = known / np.maximum(share, 1e-6)[..., None]
  smooth = spread(known, share, np.full(texture.shape[-1], 0.5, np.float32))
  return np.clip(smooth + share[..., None] * (known - smooth), 0, 1)


def spread(values: np.ndarray, weight: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
  """A smooth field [R, R, C] that follows values [R, R, C] where weight [R, R] is, and goes on.

  Weighted means of 2 x 2 texels, again and again until one is left, then back: what a level does
  not know comes from the coarser one. `otherwise` [C] is the answer where nothing is known.
  """
  size = len(values)
  if size == 1:
    known = np.minimum(weight * 1e6, 1)[..., None]
    return otherwise + known * (values - otherwise)
  half = (size + 1) // 2
  sums = cv2.resize(values * weight[..., None], (half, half), interpolation=cv2.INTER_AREA)
  counts = cv2.resize(weight, (half, half), interpolation=cv2.INTER_AREA)
  sums = sums.reshape(half, half, -1)  # OpenCV drops a last axis of 1
  coarse = spread(sums / np.maximum(counts, 1e-9)[..., None], np.minimum(counts * 4, 1), otherwise)
  back = cv2.resize(coarse.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)
  back = back.reshape(size, size, -1)
  return back + weight[..., None] * (values - back)


def _soften(trust: np.ndarray) -> np.ndarray:
  """Lets trust end gently, inward of where it ended."""
  kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_MARGIN, _MARGIN))
  inner = cv2.erode(trust.astype(np.float32), kernel, borderValue=1.0)
  soft = cv2.GaussianBlur(inner, (0, 0), _MARGIN / 4, borderType=cv2.BORDER_REPLICATE)
  return np.minimum(soft, trust)  # the blur reaches beyond what was seen, where there is no colour
