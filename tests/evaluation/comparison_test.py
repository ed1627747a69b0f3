"""Pages and comparisons of evaluations that never ran: what they say is what they were given."""

import json

import numpy as np
import pytest

from gmtalker_jax.cli.main import main
from gmtalker_jax.data import schema
from gmtalker_jax.evaluation import comparison, evaluation_page, metrics, tables
from gmtalker_jax.evaluation.embedding import Embedding
from gmtalker_jax.evaluation.exhibits import Exhibits
from gmtalker_jax.evaluation.sample import Sample, interval, value

RNG = np.random.default_rng(0)
CLIPS = [f'clip{i}' for i in range(24)]
HARD = RNG.gamma(2.0, size=24)


def _evaluation(gain=0.0, spread=0.01, holds=True):
  lmd = Sample(tuple(CLIPS), (HARD - gain + RNG.normal(0, spread, 24))[:, None])
  return {
    'mouth_lmd': value(lmd),
    'eppl': 3.0 + gain,
    'emotion_accuracy': 0.9,
    'emotion_confusion': {a: {b: int(a == b) for b in schema.EMOTIONS} for a in schema.EMOTIONS},
    'm_lmd_px': 1.25,
    'portrait_psnr_db': 31.5,
    'frechet_alexnet': None,
    'clips': {'test': 24},
    'definitions': {'mouth_lmd': 'a definition', 'eppl': 'another'},
    'intervals': {'mouth_lmd': interval(lmd), 'm_lmd_px': (1.0, 1.5)},
    'rows': {
      'talker': {'m_lmd_px': 1.25, 'portrait_psnr_db': 31.5},
      'mean face': {'m_lmd_px': 4.0},
      'truth': {'m_lmd_px': 0.0, 'portrait_psnr_db': 100.0},
    },
    'by_clip': {'mouth_lmd': lmd.saved()},
    'checks': [{'metric': 'm_lmd_px', 'sentence': 'noise is the worst', 'holds': holds}],
    'protocol': {'about': 'these', 'clips': {'records': CLIPS}, 'seeds': 3, 'judges': {'fer': 'a'}},
  }


def test_a_difference_that_two_intervals_hide_is_found_in_pairs():
  first, second = _evaluation(), _evaluation(gain=0.05)
  rows = {row.metric: row for row in comparison.compare(first, second)}
  assert first['intervals']['mouth_lmd'].low < second['mouth_lmd']  # they overlap
  lmd = rows['mouth_lmd']
  assert lmd.verdict == comparison.BETTER  # lower
  assert lmd.difference == pytest.approx(-0.05, abs=0.01)
  assert lmd.interval.low < lmd.difference < lmd.interval.high < 0
  assert lmd.clips == 24
  assert comparison.compare(second, first)[0].verdict == comparison.WORSE
  assert rows['eppl'].verdict == comparison.NEITHER  # nothing is known of its clips
  assert rows['eppl'].difference == pytest.approx(0.05)
  noisy = comparison.compare(_evaluation(spread=1.0), _evaluation(gain=0.01, spread=1.0))
  assert noisy[0].verdict == comparison.OPEN
  assert 'frechet_alexnet' not in rows


def test_what_cannot_be_compared_is_said():
  first, second = _evaluation(), _evaluation()
  assert list(comparison.differences(first, second)) == []
  second['protocol'] |= {'clips': {'records': CLIPS[:20]}, 'seeds': 4, 'judges': {'fer': 'b'}}
  second['definitions']['eppl'] = 'a third'
  said = ' / '.join(comparison.differences(first, second))
  assert '20 clips are in both, 4 and 0 in one' in said
  assert 'seeds: 3 and 4' in said
  assert 'the judge fer is not the same' in said
  assert 'eppl is defined in another way' in said


def test_the_command_reads_two_files_and_refuses_others(tmp_path, capsys):
  for name, found in (('a', _evaluation()), ('b', _evaluation(0.05, holds=False))):
    (tmp_path / f'{name}.json').write_text(json.dumps(found))
  a, b, out = (str(tmp_path / f'{name}.json') for name in ('a', 'b', 'out'))
  assert main(['compare', a, b, '--out', out]) == 0
  printed = capsys.readouterr().out
  assert '| mouth_lmd |' in printed
  assert '| better |' in printed
  assert 'b.json failed a check: m_lmd_px: noise is the worst' in printed
  rows = {row['metric']: row for row in json.loads((tmp_path / 'out.json').read_text())['rows']}
  assert rows['mouth_lmd']['verdict'] == 'better'
  (tmp_path / 'b.json').write_text('{}')
  assert main(['compare', a, b]) == 2
  assert 'expected the metrics.json' in capsys.readouterr().err


def test_tables_have_the_truth_the_trivial_and_intervals():
  made = {table.title: table for table in tables.tables(_evaluation())}
  assert list(made) == ['Image quality', 'Lips and emotion', 'The space of emotions']
  lips = made['Lips and emotion']
  at = list(lips.columns).index('m_lmd_px')
  assert [lips.rows[who][at].text() for who in ('talker', 'mean face', 'truth')] == [
    '1.25 [1, 1.5]', '4', '0',
  ]  # fmt: skip
  assert 'frechet_alexnet' not in made['Image quality'].columns
  known = {name for names in tables._TABLES.values() for name in names}
  assert known <= metrics.METRICS.keys()


@pytest.mark.parametrize('holds', [True, False])
def test_pages_say_in_red_what_does_not_hold(tmp_path, holds):
  points = Embedding(RNG.normal(size=(8, 2)), schema.EMOTIONS, ('a',) * 8, None, 0.5)
  face = np.zeros((16, 16, 3), np.uint8)
  film = [np.full((32, 96, 3), k, np.uint8) for k in range(30)]
  shown = Exhibits(points, {'happy': face, 'sad': face}, RNG.normal(size=(3, 20, 12)), film)
  evaluation_page.write(tmp_path / 'm.json', _evaluation(holds=holds), shown)
  page, text, tex = ((tmp_path / f'm.{kind}').read_text() for kind in ('html', 'md', 'tex'))
  assert ('1 of 1 sanity checks do not hold' in page) != holds
  assert ('class="bad">m_lmd_px: noise is the worst' in page) != holds
  assert ('**FAILED** m_lmd_px' in text) != holds
  assert (r'\textcolor{red}{m\_lmd\_px' in tex) != holds
  assert page.count('<svg') == 5  # two numbers with rows, the points, the heads, one confusion
  assert page.count('<img src="data:image/jpeg') == 2
  assert page.count('<video') == page.count('src="data:video/mp4') == 1
  assert 'neutral to sad' in page
  assert '>m_lmd_px (pixels)<' in page  # the axis says what and in which unit
  assert '| mean face | 4 |' in text
  assert tex.count(r'\toprule') == tex.count(r'\end{tabular}') == 3
  body = [line for line in tex.splitlines() if line.endswith(r'\\')]
  assert all('_' not in line.replace(r'\_', '') for line in body)
