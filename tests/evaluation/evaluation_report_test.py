import base64
import dataclasses
import io
import json
import math
import re

import numpy as np
from PIL import Image

from gmtalker_jax.data import schema
from gmtalker_jax.evaluation import metrics, pages, report
from gmtalker_jax.io import video

FOUND = {
  'mouth_lmd_ratio': 0.61,
  'mouth_lmd_shuffle_rise': 0.1,
  'emotion_accuracy': 0.9,
  'emotion_accuracy_truth': 0.95,
  'motion_diversity_ratio': 1.7,
  'silence_jaw_open': 0.01,
  'knn_purity': 0.7,
  'clips': {'test': 4},
  'rows': {'talker': {'mouth_lmd': 0.01, 'face_lmd': 0.02, 'lip_closure_recall': 0.8}},
  'emotion_confusion': {a: {b: int(a == b) for b in schema.EMOTIONS} for a in schema.EMOTIONS},
}


def test_targets():
  reached = {row.name: row.reached for row in report.table(FOUND)}
  assert reached == {
    'mouth_lmd_ratio': True,
    'mouth_lmd_shuffle_rise': False,
    'emotion_accuracy': True,
    'motion_diversity_ratio': False,
    'silence_jaw_open': True,
  }


def test_a_target_is_of_a_known_metric_and_in_its_direction():
  for name, target in report._TARGETS.items():
    better = metrics.METRICS[name].better
    assert better != 'lower' or (target.at_least, target.at_most < math.inf) == (-math.inf, True)
    assert better != 'higher' or (target.at_least > -math.inf, target.at_most) == (True, math.inf)


def test_truth_and_trivial_rows_are_those_of_the_registry(monkeypatch):
  rows = {row.name: row for row in report.table(FOUND)}
  assert rows['emotion_accuracy'].truth == '0.95'  # the number measured on the truth
  assert rows['emotion_accuracy'].baseline == 'guessing 0.125'
  assert rows['mouth_lmd_shuffle_rise'].truth == ''
  changed = dataclasses.replace(
    metrics.METRICS['mouth_lmd_ratio'],
    truth=0.5,
    baselines={'somebody': 'knn_purity', 'nobody': 'never_measured'},
  )
  monkeypatch.setattr(metrics, 'METRICS', metrics.METRICS | {'mouth_lmd_ratio': changed})
  row = report.table(FOUND)[0]
  assert (row.truth, row.baseline) == ('0.5', 'somebody 0.7, nobody never_measured')


def test_a_reference_that_could_not_be_measured_is_not_shown():
  metric = dataclasses.replace(
    metrics.METRICS['mouth_lmd_ratio'], truth='gone', baselines={'a': 'gone', 'b': 0.25}
  )
  assert metric.truth_in({'gone': None}) == ''
  assert metric.baselines_in({'gone': None}) == 'b 0.25'


def test_the_page_is_one_file_with_everything(tmp_path):
  (tmp_path / 'metrics.json').write_text(json.dumps(FOUND))
  points = {'points': [[0, 1], [1, 0]], 'emotions': ['happy', 'sad']}
  (tmp_path / 'embedding.json').write_text(json.dumps(points))
  step = {'name': 'corpus', 'seconds': 3.0, 'command': 'gmtalker corpus <b>&'}
  (tmp_path / 'times.json').write_text(json.dumps({'machine': 'm', 'steps': [step]}))
  frames = np.full((40, 32, 32, 3), 255, np.uint8)
  frames[: pages.POSTER] = 0  # a poster is taken where people already talk
  video.write(tmp_path / 'talk.mp4', frames, None)
  rng = np.random.default_rng(0)
  for name in ('seeds', 'moving'):
    np.savez(
      tmp_path / f'{name}.npz',
      motion=rng.normal(size=(3, 20, 12)),
      expression=rng.uniform(size=(3, 20, 50)),
      emotion=np.full((3, 20, 8), 1 / 8),
    )
  run = tmp_path / 'runs' / 'expression'
  run.mkdir(parents=True)
  rows = [{'step': i, 'train/generator/rec': 1 / i, 'test/rec': 2 / i} for i in (1, 2, 3)]
  (run / 'metrics.jsonl').write_text('\n'.join(map(json.dumps, rows)))
  page = report.build(tmp_path).read_text()
  assert page.count('<svg') == 5
  source, poster = (re.search(rf'{a}="data:[^,]+,([^"]*)"', page)[1] for a in ('src', 'poster'))
  assert base64.b64decode(source) == (tmp_path / 'talk.mp4').read_bytes()
  assert np.asarray(Image.open(io.BytesIO(base64.b64decode(poster)))).min() > 250
  assert 'corpus &lt;b&gt;&amp;' in page  # escaped
  assert not re.search(r'(src|href|poster)="(?!data:|#)', page)  # nothing is loaded from elsewhere
  assert '70 % show its emotion' in page
  assert '0.61 (ratio)</span></dt><dd>mouth_lmd of the talker' in page


def test_an_empty_folder_still_gives_a_page(tmp_path):
  assert '<h1>' in report.build(tmp_path).read_text()
