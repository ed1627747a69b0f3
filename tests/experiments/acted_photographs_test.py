"""The table of what judges see: a cell has both judges."""

from experiments import acted_photographs


def test_the_table_has_a_line_for_each_kind_of_picture():
  lines = acted_photographs.table({
    'renderings': {'angry': [0.554, 0.2], 'sad': [1.0, 0.0]},
    'photographs': {'angry': [0.1, 0.25], 'sad': [0.5, 0.5]},
  }).splitlines()  # fmt: skip
  assert lines[0] == '| | angry | sad |'
  assert lines[2:] == [
    '| renderings | .55, .20 | 1.00, .00 |',
    '| photographs | .10, .25 | .50, .50 |',
  ]
