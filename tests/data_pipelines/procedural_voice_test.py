import numpy as np
import pytest

from data_pipelines.procedural import sentences, voice
from gmtalker_jax.core.errors import InputError

TEXT = 'My puppy bought a map for Bob, maybe.'
FEMALE, MALE = voice.Voice('en-us+f3'), voice.Voice('en-us+m3')


def test_same_arguments_same_samples():
  first = voice.speak(TEXT, FEMALE, voice.prosody('happy', 3))
  voice.speak('Something else in between.', MALE, voice.prosody('sad', 2))
  again = voice.speak(TEXT, FEMALE, voice.prosody('happy', 3))
  np.testing.assert_array_equal(first.audio, again.audio)
  assert first.phonemes == again.phonemes


@pytest.mark.parametrize('who', [FEMALE, MALE])
@pytest.mark.parametrize('text', sentences.split('test')[:4])
def test_phoneme_times(who, text):
  said = voice.speak(text, who, silence=(0.3, 0.4))
  starts, ends = (np.array([p[k] for p in said.phonemes]) for k in (0, 1))
  assert (ends > starts).all()
  assert (starts[1:] >= ends[:-1] - 1e-9).all()
  assert starts[0] == pytest.approx(0.3, abs=1e-4)
  assert ends[-1] == pytest.approx(len(said.audio) / 16000 - 0.4, abs=2e-3)
  assert np.abs(said.audio[: int(0.29 * 16000)]).max() == 0
  assert np.abs(said.audio).max() < 1


def test_stops_start_with_their_closure():
  said = voice.speak(TEXT, FEMALE)
  stops = [p for p in said.phonemes if p.symbol == 'p']
  assert len(stops) == 3
  level = np.abs(said.audio).max()
  for p in stops:  # quieter than anything that follows
    start = int(p.start * 16000)
    assert np.abs(said.audio[start : start + 80]).max() < 0.05 * level


def test_feeling_changes_the_voice():
  lengths, levels = {}, {}
  for emotion in ('sad', 'neutral', 'angry'):
    said = voice.speak(TEXT, MALE, voice.prosody(emotion, 3))
    lengths[emotion], levels[emotion] = len(said.audio), np.abs(said.audio).max()
  assert lengths['sad'] > lengths['neutral'] > lengths['angry']
  assert levels['sad'] < levels['neutral'] < levels['angry']


@pytest.mark.parametrize('text', ['', '...'])
def test_nothing_to_say(text):
  with pytest.raises(InputError, match='nothing to say'):
    voice.speak(text, FEMALE)


def test_unknown_voice():
  with pytest.raises(InputError, match='voice'):
    voice.speak('Hello.', voice.Voice('xx+zz'))


def test_sentences_are_split_once():
  train, test = sentences.split('train'), sentences.split('test')
  assert not set(train) & set(test)
  assert len(set(train)) + len(set(test)) == len(sentences.SENTENCES) >= 230
  assert all(3 <= len(s.split()) <= 9 for s in sentences.SENTENCES)
  with pytest.raises(InputError):
    sentences.split('dev')
