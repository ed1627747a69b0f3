"""When things are due."""


def due(step: int, every: int, last: int) -> bool:
  """True at multiples of `every` and at the last step; `every` 0 means only at the last."""
  return step == last or (every > 0 and step % every == 0)
