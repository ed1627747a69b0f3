import csv
from pathlib import Path

import numpy as np
from scipy import stats

from gmtalker_jax.evaluation import sweep_table
from gmtalker_jax.evaluation.sweep_table import Run
from gmtalker_jax.io import files


def run(prior, seed, reason='', workdir='nowhere', **numbers):
  numbers = {name.replace('_', '/', 1): value for name, value in numbers.items()}
  return Run({'prior': prior, 'seed': str(seed)}, numbers, Path(workdir), reason)


RUNS = [
  run('mix_ture', 0, test_rec=1.0, test_kl=None),
  run('mix_ture', 1, test_rec=2.0, test_kl=3.0),
  run('one|two', 0, test_rec=0.5, test_kl=1.0),
  run('one|two', 1, 'killed by SIGKILL'),
  run('none', 0, 'nan at step 7'),
]
READ = ['test/rec', 'test/kl']


def test_means_spreads_and_counts():
  first, second, third = sweep_table.table(READ, RUNS)
  np.testing.assert_allclose(first.cells['test/rec'][:2], (1.5, np.std([1, 2], ddof=1)))
  assert first.cells['test/kl'] == (3.0, None, 1)  # one seed knows it: no spread
  assert (first.seeds, second.seeds, third.seeds) == ('2', '1/2', '0/1')
  assert third.cells['test/rec'] == (None, None, 0)


def test_rows_are_compared_with_the_first_seed_by_seed():
  ours, base = [3.0, 5.5, 7.0], [1.0, 2.0, 4.0]
  runs = [run('a', i, test_rec=value) for i, value in enumerate(base)]
  runs += [run('b', i, test_rec=value) for i, value in enumerate(ours)]
  runs += [run('c', i, test_rec=value + i - 1) for i, value in enumerate(base)]
  apart = sweep_table.differences(['test/rec'], runs)
  found = apart['prior=b']['test/rec']
  paired = stats.ttest_rel(ours, base).confidence_interval(0.95)
  np.testing.assert_allclose(
    [found.mean - found.reach, found.mean + found.reach], [paired.low, paired.high]
  )
  assert found.is_told
  assert not apart['prior=c']['test/rec'].is_told
  assert '| prior=b | **+2.83 ± 1.9** |' in sweep_table.markdown(
    'Why?', sweep_table.table(['test/rec'], runs), [], apart
  )


def test_one_pair_has_no_interval_and_none_has_no_difference():
  apart = sweep_table.differences(READ, RUNS)
  assert apart['prior=one|two']['test/rec'] == (-0.5, None)
  assert apart['prior=none']['test/rec'] == (None, None)


def test_every_form_holds_the_same_numbers_and_marks_the_holes(tmp_path):
  work = tmp_path / 'run'
  lines = '{"step": 1, "test/rec": 2.0}\n{"step": 2, "test/rec": 1}\n'
  files.write_text(work / 'metrics.jsonl', lines)
  runs = [RUNS[0]._replace(workdir=work), *RUNS[1:]]
  text = sweep_table.write(tmp_path, 'Is 1 < 2?', READ, runs)
  assert '| mix_ture | 1.5 ± 0.71 | 3 | 2 |' in text
  assert r'| one\|two | 0.5 | 1 | 1/2 |' in text
  assert '| none | – | – | 0/1 |' in text
  assert '- missing: prior=none seed=0: nan at step 7' in text
  rows = list(csv.DictReader((tmp_path / 'table.csv').read_text().splitlines()))
  assert float(rows[0]['test/rec mean']) == 1.5
  assert (rows[2]['test/rec mean'], rows[2]['done'], rows[2]['planned']) == ('', '0', '1')
  tex = (tmp_path / 'table.tex').read_text()
  assert r'mix\_ture & 1.5 $\pm$ 0.71 & 3 & 2 \\' in tex
  assert '% missing: prior=one|two seed=1: killed by SIGKILL' in tex
  page = (tmp_path / 'table.html').read_text()
  assert 'Is 1 &lt; 2?' in page
  assert page.count('<svg') == 1  # only test/rec has a curve
  assert '<li class="bad">prior=none seed=0: nan at step 7</li>' in page
