"""`gmtalker bench` as a person runs it, and the turns it takes."""

import json
import re
import shutil
from pathlib import Path

import pytest

from gmtalker_jax.cli import bench_clock
from gmtalker_jax.cli.main import main

PAGE = Path(__file__).parents[2] / 'docs' / 'performance.md'


@pytest.mark.parametrize(
  'stages',
  [
    pytest.param(['motion'], marks=pytest.mark.slow),
    pytest.param(['expression', 'motion', 'portrait'], marks=pytest.mark.prove),
  ],
)
def test_the_quick_command_of_the_page_fills_its_table(tmp_path, monkeypatch, capsys, stages):
  monkeypatch.chdir(tmp_path)
  page = tmp_path / 'docs' / 'performance.md'
  page.parent.mkdir()
  shutil.copy(PAGE, page)
  commands = re.findall(r'^gmtalker (bench.*)$', PAGE.read_text(), re.M)
  assert commands == ['bench --page docs/performance.md', 'bench --quick']
  # The costly command with the quick one's networks: both commands at once.
  words = ' '.join([commands[0], *commands[1].split()[1:]]).split()
  only = ['--stage', *stages] if len(stages) == 1 else []
  assert main([*words, *only, '--json', 'speed.json']) == 0
  shown = capsys.readouterr().out
  assert shown.strip() in page.read_text()
  assert page.read_text().split('## Measured')[0] == PAGE.read_text().split('## Measured')[0]
  rows = json.loads((tmp_path / 'speed.json').read_text())['rows']
  assert {(r['stage'], r['work'], r['way']) for r in rows} == {
    (stage, work, way)
    for stage in stages
    for work in ('train step', 'sampling')
    for way in ('ours', 'eager', 'tuned', *(['published'] if stage == 'portrait' else []))
  }
  assert not [row for row in rows if 'failed' in row]
  for row in rows:
    assert row['least'] <= row['ratio'] <= row['most']
    assert row['seconds'] > 0
    assert row['memory'] > 1_000
    assert row['flops'] > 1e5
    assert row['way'] != 'ours' or row['ratio'] == 1


def test_a_page_without_marks_is_refused(tmp_path, capsys):
  (tmp_path / 'page.md').write_text('mine')
  assert main(['bench', '--quick', '--page', str(tmp_path / 'page.md')]) == 2
  assert capsys.readouterr().err.count('\n') == 1
  assert (tmp_path / 'page.md').read_text() == 'mine'


def test_all_take_turns_and_a_ratio_is_of_one_round(monkeypatch):
  """A machine that gets twice as slow in the second round changes no ratio."""
  now, order, round_of = [0.0], [], {'a': 0, 'b': 0}
  monkeypatch.setattr(bench_clock.time, 'perf_counter', lambda: now[0])

  def way(name, cost):
    def call():
      order.append(name)
      round_of[name] += 1
      now[0] += cost * (2 if round_of[name] > 6 else 1)  # three calls warm up, one a timing

    return call

  def broken():
    raise RuntimeError('no compiler\nhere')

  ways = {'a': way('a', 1.0), 'c': broken, 'b': way('b', 3.0)}
  paces, failed = bench_clock.turns(ways, 2, 0.5)
  assert failed == {'c': 'no compiler'}
  assert ''.join(order[6:]) == 'aaabbbbbbaaa'
  assert paces['b'] == bench_clock.Pace(4.5, 3.0, 3.0, 3.0)
  with pytest.raises(RuntimeError):
    bench_clock.turns({'c': broken}, 1, 0.0)
