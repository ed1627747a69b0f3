"""Make a wav: one of the invented people says a text (espeak-ng). For trying `gmtalker speak`.

examples:
  gmtalker voice --text "Hello, how are you today?" --out voice.wav
  gmtalker voice --text "What a surprise!" --emotion surprised --person 1 --out voice.wav
"""

from collections.abc import Sequence

from gmtalker_jax.cli import arguments, extras, shipped


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker voice`."""
  parser = arguments.Parser('voice', __doc__)
  add = parser.add_argument
  add('--text', required=True, help='English')
  add('--emotion', default='neutral', help='of the voice (default neutral)')
  add('--level', type=int, choices=(1, 2, 3), default=3, help='of the emotion (default 3)')
  add('--person', type=int, default=0, help='0 is the star of the demo')
  add('--seed', type=int, default=0, help='of the people, as in `gmtalker corpus`')
  add('--out', default='voice.wav', metavar='FILE')
  args = parser.read(argv)
  extras.require('voice', 'corpus')

  from gmtalker_jax.data import schema
  from gmtalker_jax.io import audio

  people = shipped.module('data_pipelines.procedural.people')
  voice = shipped.module('data_pipelines.procedural.voice')
  person = people.people(args.person + 1, args.seed)[args.person]
  how = voice.prosody(args.emotion, args.level)
  wave = voice.speak(args.text, person.voice, how).audio
  audio.write(args.out, wave)
  print(f'{args.out}: {len(wave) / schema.SAMPLE_RATE:.2f} s, the voice of {person.name}')
  return 0
