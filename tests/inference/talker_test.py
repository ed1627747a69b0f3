import json

import numpy as np
import pytest
import tiny_talker

from gmtalker_jax.core import trees
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.face.person import Person
from gmtalker_jax.inference import bundling, speak, timeline
from gmtalker_jax.inference import talker as talkers
from gmtalker_jax.stages import STAGES


@pytest.fixture(scope='module')
def talker():
  return tiny_talker.talker()


@pytest.fixture
def folder(talker, tmp_path):
  bundling.save(talker, tmp_path / 't', {}, 'float32')
  return tmp_path / 't'


def _edit(folder, change):
  value = json.loads((folder / 'talker.json').read_text())
  change(value)
  (folder / 'talker.json').write_text(json.dumps(value))


def test_a_saved_talker_says_the_same(talker, folder):
  wave = (0.1 * np.random.default_rng(0).standard_normal(3200)).astype(np.float32)
  weights = timeline.parse('happy', 1.0, 5)
  before, after = (speak.speak(t, wave, weights, 3) for t in (talker, talkers.load(str(folder))))
  np.testing.assert_allclose(
    before.coefficients.expression, after.coefficients.expression, atol=1e-6
  )
  np.testing.assert_array_equal(list(before.frames), list(after.frames))


def test_a_saved_talker_knows_its_person(talker, tmp_path):
  skin = np.tile(np.linspace(0, 1, 256, dtype=np.float32)[:, None, None], (1, 256, 3))
  skin = np.round(skin * 255) / np.float32(255)
  person = Person(np.full(80, 0.1, np.float32), skin, np.linspace(0, 1, 9, dtype=np.float32))
  bundling.save(talker._replace(person=person), tmp_path / 't', {}, 'float32')
  again = talkers.load(str(tmp_path / 't')).person
  for name in ('identity', 'texture', 'light'):
    np.testing.assert_array_equal(getattr(again, name), getattr(person, name))


def test_a_talker_from_before_there_were_persons_is_a_plain_one(folder, talker):
  _edit(folder, lambda t: t.pop('light'))
  found = talkers.load(str(folder)).person
  assert found.texture is None
  np.testing.assert_array_equal(found.light, talker.person.light)
  assert talkers.load().person.texture is None  # the one that ships


def test_a_painter_of_another_head_is_warned_of(folder, caplog):
  talkers.load(str(folder))
  assert not caplog.text
  _edit(folder, lambda t: t.update(head='builtin@00000000'))
  again = talkers.load(str(folder))
  assert 'learnt from renderings of builtin@00000000, this version renders ' in caplog.text
  assert bundling.describe(again)['head'] == 'builtin@00000000'  # bundled anew it is no other


def test_float16_is_half_and_nearly_the_same(talker, tmp_path):
  for dtype in ('float32', 'float16'):
    bundling.save(talker, tmp_path / dtype, {}, dtype)
  size = {d: (tmp_path / d / 'portrait.safetensors').stat().st_size for d in ('float32', 'float16')}
  assert size['float16'] < 0.6 * size['float32']
  talkers.load(str(tmp_path / 'float16'))


@pytest.mark.parametrize(
  ('change', 'match'),
  [
    (lambda t: t.pop('models'), 'cannot be read'),
    (lambda t: t['models']['expression'].update(width=32), 'do not fit'),
    (lambda t: t['models']['expression'].update(width=10**9), 'up to'),
    (lambda t: t['models']['portrait'].update(colour='red'), 'cannot be read'),
    (lambda t: t['models']['motion'].update(width='wide'), 'talker'),
    (lambda t: t['models']['portrait'].update(latent_dim=9), 'is .8, 8., not .9, 8.'),
    (lambda t: t.update(emotions=['joy']), 'emotions'),
    (lambda t: t.update(head='/etc/passwd'), 'builtin'),
    (lambda t: t.update(identity=[1, 2]), 'identity'),
    (lambda t: t.update(texture='x'), 'texture'),
    (lambda t: t.update(light=[1]), 'light'),
    (lambda t: t.update(speech_encoder='embedding'), 'speech features'),
    (lambda t: t.update(speech_encoder='nonsense'), 'nonsense'),
    (lambda t: t['statistics']['motion'].pop('speech'), 'without the statistics of motion'),
    (lambda t: t['statistics']['motion']['motion'].update(mean=[1e999]), 'finite'),
    (lambda t: t.update(seed='one'), 'cannot be read'),
  ],
)
def test_a_wrong_description_is_one_line(folder, change, match):
  _edit(folder, change)
  with pytest.raises(InputError, match=match) as caught:
    talkers.load(str(folder))
  assert '\n' not in str(caught.value)


def test_the_weights_that_ship_fit_their_models():
  """`load` takes this for granted."""
  shipped = talkers.load()
  for name, spec in STAGES.items():
    part = getattr(shipped, name)
    assert not trees.mismatch(spec.abstract_params(part.module), part.params)
