"""Least squares for all frames at once: some unknowns are eliminated, some bounded."""

import numpy as np


def eliminate(free, kept, residual):
  """Normal equations of `kept` after the best `free` was put in (Schur complement), per frame.

  Returns:
    the matrix [T, C, C], the right side [T, C], and a function from a step of `kept` [T, C] to
    the best step of `free` [T, 6].
  """
  free_t, kept_t = free.transpose(0, 2, 1), kept.transpose(0, 2, 1)
  inverse = np.linalg.inv(free_t @ free + 1e-6 * np.eye(free.shape[-1], dtype=free.dtype))
  cross = free_t @ kept  # [T, 6, C]
  free_right = np.einsum('tpn,tn->tp', free_t, residual)
  towards = inverse @ cross
  hessian = kept_t @ kept - cross.transpose(0, 2, 1) @ towards
  gradient = np.einsum('tcn,tn->tc', kept_t, residual)
  gradient -= np.einsum('tpc,tp->tc', towards, free_right)

  def back(step):
    return np.einsum('tpq,tq->tp', inverse, free_right) - np.einsum('tpc,tc->tp', towards, step)

  return hessian, gradient, back


def bounded_solve(hessian, target, start, sweeps: int = 12) -> np.ndarray:
  """Minimises w H w / 2 - target w over 0 <= w <= 1 by coordinate descent, for all frames."""
  weights = np.clip(start, 0, 1)
  rows = np.ascontiguousarray(hessian.transpose(1, 0, 2))  # [C, T, C]
  diagonal = np.einsum('tcc->ct', hessian)
  for _ in range(sweeps):
    for c, row in enumerate(rows):
      slack = target[:, c] - np.einsum('tc,tc->t', row, weights)
      weights[:, c] = np.clip(weights[:, c] + slack / diagonal[c], 0, 1)
  return weights
