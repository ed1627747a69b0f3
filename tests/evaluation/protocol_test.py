import json

import pytest
import tiny_records
import tiny_talker

from gmtalker_jax.cli.main import main
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.evaluation import metrics, protocol
from gmtalker_jax.inference import talker as talkers

NAMED = (
  'mouth_lmd_ratio', 'mouth_lmd_ratio_shuffled', 'mouth_lmd_shuffle_rise', 'emotion_accuracy',
  'emotion_accuracy_truth', 'motion_diversity_ratio', 'portrait_psnr_gain_db', 'silence_jaw_open',
)  # fmt: skip


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  root = tmp_path_factory.mktemp('evaluation')
  talkers.save(tiny_talker.talker(), root / 'talker', {}, 'float32')
  tiny_records.write(root / 'records', tiny_talker.ENCODER)
  return root


def test_evaluate_writes_the_named_numbers(folder, capsys):
  arguments = [
    'evaluate', '--talker', str(folder / 'talker'), '--records', str(folder / 'records'),
    '--portrait-records', str(folder / 'records'), '--seeds', '3', '--out',
    str(folder / 'metrics.json'),
  ]  # fmt: skip
  assert main(arguments) == 0
  found = json.loads((folder / 'metrics.json').read_text())
  assert all(isinstance(found[name], float) for name in NAMED)
  assert set(NAMED) <= set(metrics.DEFINITIONS)
  table = found['baselines']['expression']
  assert table['truth']['mouth_lmd'] == 0
  assert table['truth']['lip_closure_recall'] == 1
  assert found['mouth_lmd_ratio'] == table['talker']['mouth_lmd'] / table['mean face']['mouth_lmd']
  points = json.loads((folder / 'embedding.json').read_text())
  assert len(points['points']) == len(points['emotions']) == found['clips']['test']
  assert 'mouth_lmd_ratio' in capsys.readouterr().out


def test_the_truth_as_a_talker_scores_perfectly(folder, monkeypatch):
  talker = talkers.load(str(folder / 'talker'))
  test = protocol._open(talker, str(folder / 'records'), 'test')
  train = protocol._open(talker, str(folder / 'records'), 'train')
  by_speech = {r['speech'].tobytes(): r['expression'] for r in test}
  import numpy as np

  monkeypatch.setattr(
    protocol, '_generate', lambda t, r, rows, w, s: by_speech[np.float16(rows).tobytes()]
  )
  found, own = protocol.expression_metrics(talker, train, test)
  assert found['mouth_lmd_ratio'] == 0
  assert found['mouth_lmd_ratio_shuffled'] > 0.5
  judged = protocol.emotion_metrics(talker, train, test, own)
  assert judged['emotion_accuracy'] == judged['emotion_accuracy_truth']


def test_records_of_another_encoder_are_refused(folder):
  talker = talkers.load(str(folder / 'talker'))._replace(speech_encoder='embedding')
  with pytest.raises(InputError, match='prepare again'):
    protocol.evaluate(talker, str(folder / 'records'))
