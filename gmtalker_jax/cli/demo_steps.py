"""The steps of the demo: which commands, in which order, with which numbers."""

from pathlib import Path
from typing import NamedTuple

from gmtalker_jax.cli.course import Step

STAR = 'W001'  # the first invented person, see data_pipelines/procedural/people.py
TEXT = (
  'Hello. I am not a real person, and nobody ever filmed me. Every word that you hear and '
  'every picture that you see was made on this computer, a few minutes ago. '
  'Tell me how to feel, and watch my face.'
)
SENTENCE = 'I never thought that this could happen to me.'
TRACK = '0:neutral 3:happy 6:surprised 9:angry 12:sad'


class Preset(NamedTuple):
  """How large a demo is."""

  variant: str  # of the three configs
  corpus: str  # arguments of `gmtalker corpus`
  clips: int  # held-out clips that are measured
  seeds: int


PRESETS = {
  'demo': Preset(
    'demo',
    '--people 3 --sentences 1 --portrait-sentences 1 --test-sentences 1 '
    '--stage-people 4 --stage-clips 10 --size 128 --video-size 32',
    48,
    10,
  ),
  'smoke': Preset(
    'smoke',
    '--people 1 --sentences 1 --portrait-sentences 1 --test-sentences 1 '
    '--stage-people 1 --stage-clips 8 --size 64 --video-size 64',
    8,
    3,
  ),
}


def steps(out: Path, preset: Preset, builtin: bool) -> list[Step]:
  """All commands of a demo in `out`; `builtin`: the shipped talker is there to be shown."""
  at = lambda name: str(out / name)  # noqa: E731

  def step(name: str, *arguments: str) -> Step:
    return Step(name, arguments)

  def train(stage: str, records: str, *more: str) -> Step:
    config = f'--config=configs/{stage}.py:{preset.variant}'
    data = f'--config.data.records={at(records)}'
    return step(f'train {stage}', 'train', config, f'--workdir={at(f"runs/{stage}")}', data, *more)

  def speak(name: str, sound: str, *more: str) -> Step:
    where = ('--audio', at(sound), '--out', at(f'{name}.mp4'))
    return step(f'speak: {name}', 'speak', '--talker', at('talker'), *where, *more)

  found = [
    step('corpus', 'corpus', '--out', at('corpus'), *preset.corpus.split()),
    step(
      'records with emotions', 'prepare', 'procedural', at('corpus/mead'),
      '--out', at('records/mead'), '--frames', STAR, '--size', _size(preset), '--overwrite',
    ),
    step(
      'records of moving heads', 'prepare', 'procedural', at('corpus/lrs3'),
      '--out', at('records/lrs3'), '--overwrite',
    ),
    train('expression', 'records/mead'),
    train('motion', 'records/lrs3'),
    train(
      'portrait', 'records/mead', f'--config.data.subject={STAR}',
      f'--config.data.expression_workdir={at("runs/expression")}',
    ),
    step(
      'bundle', 'bundle', '--expression', at('runs/expression'), '--motion', at('runs/motion'),
      '--portrait', at('runs/portrait'), '--out', at('talker'),
    ),
    step(
      'evaluate', 'evaluate', '--talker', at('talker'), '--records', at('records/mead'),
      '--motion-records', at('records/lrs3'), '--portrait-records', at('records/mead'),
      '--clips', str(preset.clips), '--seeds', str(preset.seeds), '--out', at('metrics.json'),
    ),
    step('a voice', 'voice', '--text', TEXT, '--out', at('voice.wav')),
    step('a sentence', 'voice', '--text', SENTENCE, '--out', at('sentence.wav')),
    speak('talk', 'voice.wav', '--emotion', 'happy', '--intensity', '0.8'),
    speak('emotions', 'sentence.wav', '--grid', 'emotions'),
    speak('moving', 'voice.wav', '--emotion', TRACK, '--coefficients', at('moving.npz')),
    speak('seeds', 'sentence.wav', '--grid', 'seeds', '--coefficients', at('seeds.npz')),
  ]  # fmt: skip
  if builtin:
    found += [
      step(
        'speak: the shipped talker', 'speak', '--talker', 'builtin', '--audio', at('sentence.wav'),
        '--grid', 'emotions', '--out', at('builtin.mp4'),
      ),
      step(
        'evaluate the shipped talker', 'evaluate', '--talker', 'builtin', '--records',
        at('records/mead'), '--clips', '16', '--out', at('builtin_metrics.json'),
      ),
    ]  # fmt: skip
  return found


def _size(preset: Preset) -> str:
  """The --size of the preset's corpus."""
  words = preset.corpus.split()
  return words[words.index('--size') + 1]
