import json

import numpy as np
import pytest
import tiny_records
import tiny_talker

from gmtalker_jax.cli.main import main
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.evaluation import metrics, protocol
from gmtalker_jax.evaluation.metrics import mouth, sync
from gmtalker_jax.evaluation.metrics.metric import Metric
from gmtalker_jax.evaluation.study import Study
from gmtalker_jax.face.landmark_model import LandmarkModel
from gmtalker_jax.inference import bundling
from gmtalker_jax.inference import talker as talkers
from gmtalker_jax.io import emotion_judges, identity

TOY = Metric(
  name='toy',
  compute=lambda study: np.float32(len(study.test)),
  unit='clips',
  definition='how many clips are held out',
  better='higher',
  truth=8,
  baselines={'nobody': 0},
)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  root = tmp_path_factory.mktemp('evaluation')
  bundling.save(tiny_talker.talker(), root / 'talker', {}, 'float32')
  tiny_records.write(root / 'records', tiny_talker.ENCODER)
  return root


def test_every_entry_of_the_registry_is_measured_defined_and_printed(folder, capsys, monkeypatch):
  monkeypatch.setattr(metrics, 'METRICS', metrics.METRICS | {'toy': TOY})
  arguments = [
    'evaluate', '--talker', str(folder / 'talker'), '--records', str(folder / 'records'),
    '--portrait-records', str(folder / 'records'), '--seeds', '3', '--out',
    str(folder / 'metrics.json'),
  ]  # fmt: skip
  assert main(arguments) == 0
  found = json.loads((folder / 'metrics.json').read_text())
  # Each of these clips has an emotion of its own, and in their pictures nothing stands still.
  undefined = {'silhouette', 'flicker_ratio', 'blink_duration'}
  undefined |= {m.name for m in sync.METRICS}  # its judge hears more than log-mel: sync_test.py
  if not identity.is_there():
    undefined |= {'identity_similarity', 'identity_similarity_truth', 'frechet_mobilefacenet'}
  for judge, load in (('fer', emotion_judges.fer), ('faceapi', emotion_judges.faceapi)):
    try:
      load()
    except InputError:
      undefined |= {name for name in metrics.METRICS if f'emotion_{judge}' in name}
  assert all(isinstance(found[name], float) for name in metrics.METRICS.keys() - undefined)
  assert all(found[name] is None for name in undefined)
  assert found['definitions'] == {n: m.definition for n, m in metrics.METRICS.items()}
  assert found['toy'] == found['clips']['test'] == 8
  table = found['rows']
  assert table['truth']['mouth_lmd'] == 0
  assert table['truth']['lip_closure_recall'] == 1
  ratio = table['talker']['mouth_lmd'] / table['mean face']['mouth_lmd']
  assert found['mouth_lmd_ratio'] == pytest.approx(ratio)
  assert found['lip_closure_recall'] == table['talker']['lip_closure_recall']
  gain = found['portrait_psnr_db'] - found['rendering_psnr_db']
  assert found['portrait_psnr_gain_db'] == pytest.approx(gain)
  assert found['rows']['truth']['portrait_psnr_db'] == 100
  assert found['rows']['truth']['m_lmd_px'] == 0 < found['rows']['noise']['m_lmd_px']
  assert json.loads((folder / 'metrics.protocol.json').read_text()) == found['protocol']
  page = (folder / 'metrics.html').read_text()
  assert page.count('<svg') > 10
  assert page.count('<img src="data:image/jpeg') == 7  # from neutral to each of the others
  assert page.count('<video') == 1
  points = json.loads((folder / 'embedding.json').read_text())
  assert len(points['points']) == len(points['emotions']) == found['clips']['test']
  printed = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
  assert metrics.METRICS.keys() - undefined <= printed.keys()
  assert printed['toy'].split() == ['toy', '8.000', 'clips', 'higher', '8', 'nobody', '0']


def test_the_truth_as_a_talker_scores_perfectly_and_speaks_once(folder):
  study = Truthful(talkers.load(str(folder / 'talker')), str(folder / 'records'))
  names = (
    'mouth_lmd_ratio', 'mouth_lmd_ratio_shuffled', 'lip_closure_recall', 'emotion_accuracy',
    'emotion_accuracy_truth',
  )  # fmt: skip
  found = protocol.evaluate(study, names)
  assert found['mouth_lmd_ratio'] == 0
  assert found['mouth_lmd_ratio_shuffled'] > 0.5
  assert found['lip_closure_recall'] == 1
  assert found['emotion_accuracy'] == found['emotion_accuracy_truth']
  assert tuple(found['definitions']) == names
  assert [c for c in found['checks'] if not c['holds'] and c['metric'] != 'emotion_accuracy'] == []
  assert {c['metric'] for c in found['checks']} >= {'mouth_lmd_ratio', 'lip_closure_recall'}
  low, high = found['intervals']['mouth_lmd_ratio_shuffled']
  assert low < found['mouth_lmd_ratio_shuffled'] < high
  assert set(found['by_clip']['mouth_lmd_ratio']) == {r['id'] for r in study.test}
  assert study.spoken == 2 * len(study.test)  # with the right sound and with the wrong one


def test_chosen_numbers_are_all_that_is_written(folder, tmp_path, capsys):
  arguments = [
    'evaluate', '--talker', str(folder / 'talker'), '--records', str(folder / 'records'),
    '--metrics', 'silence_jaw_open', '--out', str(tmp_path / 'metrics.json'),
  ]  # fmt: skip
  assert main(arguments) == 0
  found = json.loads((tmp_path / 'metrics.json').read_text())
  assert found.keys() == {'silence_jaw_open', *protocol.ABOUT}
  assert found['definitions'].keys() == {'silence_jaw_open'}
  assert [path.name for path in tmp_path.iterdir()] == ['metrics.json']
  assert len(capsys.readouterr().out.splitlines()) == 2  # with the line of headings


def test_without_portrait_records_their_numbers_are_left_out_or_refused(folder, monkeypatch):
  study = Study(talkers.load(str(folder / 'talker')), str(folder / 'records'))
  with pytest.raises(InputError, match='pass --portrait-records'):
    protocol.evaluate(study, ['portrait_ssim'])
  some = {'portrait_ssim': metrics.METRICS['portrait_ssim'], 'toy': TOY}
  monkeypatch.setattr(metrics, 'METRICS', some)
  found = protocol.evaluate(study)
  assert found.keys() == {'toy', *protocol.ABOUT}
  assert found['definitions'].keys() == {'toy'}


def test_records_of_another_encoder_are_refused_before_anything_is_measured(folder):
  talker = talkers.load(str(folder / 'talker'))._replace(speech_encoder='embedding')
  measured = []
  study = Study(talker, str(folder / 'records'), progress=measured.append)
  with pytest.raises(InputError, match='prepare again'):
    protocol.evaluate(study)
  assert not measured


class Truthful(Study):
  """Its talker performs what was recorded with the sound that it hears."""

  spoken = 0

  def generate(self, record, rows, emotion, seed):
    del record, emotion, seed
    self.spoken += 1
    performed = {r['speech'].tobytes(): r['expression'] for r in self.test}
    return performed[np.float16(rows).tobytes()]


def test_the_portrait_alone_needs_no_labelled_clips(folder, tmp_path, capsys, monkeypatch):
  some = ('mouth_lmd_ratio', 'mouth_lmd_ratio_shuffled', 'mouth_lmd_shuffle_rise', 'm_lmd_px',
          'portrait_lpips', 'portrait_psnr_spread_db', 'emotion_accuracy', 'knn_purity',
          'motion_diversity_ratio')  # fmt: skip
  monkeypatch.setattr(metrics, 'METRICS', {name: metrics.METRICS[name] for name in some})
  out = tmp_path / 'metrics.json'
  arguments = ['evaluate', '--talker', str(folder / 'talker'), '--out', str(out)]
  assert main([*arguments, '--portrait-records', str(folder / 'records')]) == 0
  found = json.loads(out.read_text())
  assert found['clips'] == {'train': 4, 'test': 4}  # of M001, whose portrait it is
  assert found['portrait_lpips'] > 0
  assert set(found['portrait_psnr_by_emotion']) == {*schema.EMOTIONS, 'drawn'}
  rise = found['mouth_lmd_ratio_shuffled'] / found['mouth_lmd_ratio'] - 1
  assert found['mouth_lmd_shuffle_rise'] == pytest.approx(rise)
  assert not {'emotion_accuracy', 'motion_diversity_ratio', 'knn_purity'} & found.keys()
  assert main(arguments) == 2
  assert 'expected --records, --portrait-records or both' in capsys.readouterr().err


class Hearing(Study):
  """Its talker performs what was recorded, and moves it in time as the sound is moved."""

  def generate(self, record, rows, emotion, seed):
    del emotion, seed
    for turn in range(len(record['expression'])):
      if np.array_equal(np.roll(record['speech'], 2 * turn, 0), np.float16(rows)):
        return np.roll(record['expression'], turn, 0)
    raise AssertionError('no sound of this clip')


def test_one_held_out_clip_of_a_person_is_its_own_wrong_sound(tmp_path):
  who = tiny_talker.talker()
  records = tiny_records.write(tmp_path / 'r', tiny_talker.ENCODER, clips=1)
  study = Hearing(who, None, portrait_records=records)
  found = protocol.evaluate(study, ['mouth_lmd_ratio', 'mouth_lmd_ratio_shuffled', 'mouth_lmd'])
  assert found['mouth_lmd_ratio'] == found['mouth_lmd'] == 0
  ((clip,), (trained,)) = study.heard[1], study.heard[0]
  model, truth = LandmarkModel.of(who.head), clip['expression']
  lips = lambda e: model.place(e, clip['identity'])[:, mouth.MOUTH]  # noqa: E731
  still = np.broadcast_to(trained['expression'].mean(0), truth.shape)
  distances = [
    mouth.landmark_distance(lips(e), lips(truth))
    for e in (*(np.roll(truth, turn, 0) for turn in (3, 6, 9)), still)  # of 12 frames
  ]
  expected = np.mean(distances[:3]) / distances[3]
  assert found['mouth_lmd_ratio_shuffled'] == pytest.approx(expected, rel=1e-5)
  with pytest.raises(InputError, match=r'without records, expected .*pass --records$'):
    protocol.evaluate(study, ['emotion_accuracy'])
  with pytest.raises(InputError, match='without records or portrait_records'):
    protocol.evaluate(Study(who, None), ['mouth_lmd'])
  with pytest.raises(InputError, match=r"got 0 clips of 'X' in 'train'.*expected 1 or more"):
    protocol.evaluate(Study(who._replace(subject='X'), None, portrait_records=records))
