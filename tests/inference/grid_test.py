import numpy as np

from gmtalker_jax.inference import grid


def _stream(value, frames=2):
  return iter(np.full((frames, 64, 64, 3), value, np.uint8))


def test_cells_are_in_reading_order_and_the_shortest_ends_it():
  frames = list(grid.tile({'a': _stream(10), 'b': _stream(20), 'c': _stream(30, 1)}))
  assert len(frames) == 1
  assert frames[0].shape == (64, 192, 3)
  assert [int(frames[0][5, x, 0]) for x in (60, 120, 190)] == [10, 20, 30]


def test_ten_are_five_wide_and_eight_are_four():
  assert grid.columns(10) == 5
  assert grid.columns(8) == 4


def test_the_label_is_written_below():
  frame = np.full((64, 64, 3), 120, np.uint8)
  labelled = grid.label_cell(frame, 'happy')
  assert (labelled[40:] != 120).any()
  assert (labelled[:30] == 120).all()
