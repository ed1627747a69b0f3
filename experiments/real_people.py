"""What a talker is worth on real people, of whom it learnt nothing: its lips beside yardsticks.

    python -m experiments.real_people RECORDS [RECORDS ...] --out runs/real_people

Each person with enough clips is left out once. The rest teaches ridge regression, on log-mel alone
and on all that the talker hears, and tunes a copy of the built-in talker; then all of them hear the
one left out. The number is Pearson's r between true and made coefficients over all frames of that
person, its mean over the coefficients that move. What was cut off goes on when the same command is
given again; OUT/table.md is written after each person. Hours: two minutes a person on two cores.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_pipelines import build
from gmtalker_jax.cli import course
from gmtalker_jax.cli.course import Step
from gmtalker_jax.data import emotion, schema, source
from gmtalker_jax.evaluation.baselines import Ridge
from gmtalker_jax.inference import speak, talker
from gmtalker_jax.io import files

LOGMEL = 80  # the first of the speech features
MOVES = 0.02  # standard deviation of a blendshape weight below which nothing moves
ENOUGH = 250  # frames of a person who is left out
JAW = schema.EXPRESSION_NAMES.index('jawOpen')

Record = Mapping[str, Any]
Perform = Callable[[Record], np.ndarray]


def read(folders: Sequence[str]) -> dict[str, list[Record]]:
  """Person -> all clips, of whatever split."""
  found: dict[str, list[Record]] = {}
  for folder in folders:
    for split in source.read_manifest(source.find(folder))['splits']:
      opened = source.open_records(folder, split)
      for record in (opened[i] for i in range(len(opened))):
        unseen = {'frames': [], 'renderings': []}
        found.setdefault(record['subject'], []).append({**record, **unseen})
  return found


def agreement(truth: np.ndarray, made: np.ndarray) -> np.ndarray:
  """Pearson's r [E] of each coefficient over frames [N, E]; NaN where the truth stands still."""
  moves = truth.std(0) > MOVES
  a, b = (x - x.mean(0) for x in (truth, made))
  r = (a * b).sum(0) / np.maximum(np.sqrt((a**2).sum(0) * (b**2).sum(0)), 1e-9)
  return np.where(moves, r, np.nan)


def tuned(person: str, others: Sequence[Record], out: Path, steps: int) -> Path:
  """A talker that begins as the built-in one and learns from others; made once."""
  at = out / person
  if not (at / 'records').is_dir():
    build.write_records(_splits(others), at, 'folder')
  commands = [
    Step('tune', (
      'train', '--config=configs/expression.py:builtin', f'--workdir={at / "run"}',
      f'--config.data.records={at}', '--config.init_from=builtin', f'--config.steps={steps}',
      '--config.optimizers.generator.rate=2e-4',
      f'--config.optimizers.generator.decay_steps={steps}',
    )),
    Step('bundle', ('bundle', '--from', 'builtin', '--expression', str(at / 'run'),
                    '--out', str(at / 'talker'))),
  ]  # fmt: skip
  if course.run(commands, at, 'real'):
    sys.exit(1)
  return at / 'talker'


def performers(person: str, others: Sequence[Record], out: Path, steps: int) -> dict[str, Perform]:
  """Who hears the person that was left out."""
  deaf = [{**r, 'speech': _logmel(r)} for r in others]
  narrow, wide = Ridge(deaf), Ridge(others)
  before = talker.load('builtin')
  after = talker.load(str(tuned(person, others, out, steps)))

  def speaks(who: talker.Talker) -> Perform:
    def perform(record: Record) -> np.ndarray:
      weights = np.tile(emotion.to_measure(record), (len(record['expression']), 1))
      rows = np.asarray(record['speech'], np.float32)
      return speak.generate_expression(who._replace(subject=''), rows, weights, 0)[0]

    return perform

  return {
    'ridge on log-mel': lambda record: narrow.predict(_logmel(record)),
    'ridge on all features': lambda record: wide.predict(record['speech']),
    'built-in talker': speaks(before),
    'built-in talker, tuned on the others': speaks(after),
  }


def table(found: Mapping[str, Mapping[str, np.ndarray]]) -> str:
  """Markdown: people down, performers across; mean r, in brackets that of jawOpen."""
  names = list(next(iter(found.values())))
  lines = ['| left out | ' + ' | '.join(names) + ' |', '|---' * (len(names) + 1) + '|']
  for person, row in found.items():
    cells = (f'{np.nanmean(r):.3f} ({r[JAW]:.2f})' for r in row.values())
    lines.append(f'| {person} | ' + ' | '.join(cells) + ' |')
  means = (np.mean([np.nanmean(row[n]) for row in found.values()]) for n in names)
  lines.append('| mean | ' + ' | '.join(f'{mean:.3f}' for mean in means) + ' |')
  return '\n'.join(lines) + '\n'


def main(argv: Sequence[str] | None = None) -> int:
  """Writes OUT/table.md and prints it."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('records', nargs='+', help='of `gmtalker prepare`, of real clips with sound')
  parser.add_argument('--out', type=Path, required=True)
  parser.add_argument('--steps', type=int, default=300, help='of tuning')
  args = parser.parse_args(argv)
  people = read(args.records)
  length = {p: sum(len(r['expression']) for r in records) for p, records in people.items()}
  left_out = [person for person, frames in length.items() if frames >= ENOUGH]
  if len(left_out) < 2:
    parser.error(f'got people with frames {length}, expected two or more with {ENOUGH}')
  found: dict[str, dict[str, np.ndarray]] = {}
  for person in left_out:
    others = [r for name, records in people.items() if name != person for r in records]
    own = people[person]
    truth = np.concatenate([r['expression'] for r in own])
    found[person] = {
      name: agreement(truth, np.concatenate([perform(r) for r in own]))
      for name, perform in performers(person, others, args.out, args.steps).items()
    }
    files.write_text(args.out / 'table.md', table(found))
  sys.stdout.write((args.out / 'table.md').read_text())
  return 0


def _logmel(record: Record) -> np.ndarray:
  return np.asarray(record['speech'])[:, :LOGMEL]


def _splits(records: Sequence[Record]) -> dict[str, list[Record]]:
  """The last clip of each who has several is held out, for the curves of training."""
  last = {r['subject']: r['id'] for r in records}
  first = {r['subject']: r['id'] for r in reversed(records)}
  held = {last[person] for person in last if last[person] != first[person]}
  return {
    'train': [r for r in records if r['id'] not in held],
    'test': [r for r in records if r['id'] in held],
  }


if __name__ == '__main__':
  sys.exit(main())
