"""What a painter needs: one portrait of one person for each choice and seed, and one table.

    python -m experiments.painter me.mp4 --out runs/painter
    python -m experiments.painter me.mp4 --out runs/painter --rows filmed,acted --seeds 0

The records, the person's manner and the movement of the head are made once, as `gmtalker person`
makes them; then each row is trained (128 pixels), bundled and measured on the held-out part. What
was cut off goes on when the same command is given again. OUT/table.md is written after each row.

Hours: about five minutes for each row and seed on two CPU cores, and ten before the first.
"""

import argparse
import itertools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gmtalker_jax.cli import course, person_steps
from gmtalker_jax.cli.course import Step
from gmtalker_jax.inference import bundling, talker
from gmtalker_jax.io import files
from gmtalker_jax.stages import STAGES


class Row(NamedTuple):
  """One choice: how it differs from the first row."""

  about: str
  flags: tuple[str, ...] = ()  # after --config.
  records: str = 'records'


ROWS = {
  'filmed': Row('as filmed: e from Dirichlet, z from posterior and prior, texture'),
  'acted': Row('photographs acted in the emotions too', ('data.balanced=False',), 'pictured'),
  'e_zero': Row('unknown e is zero', ('data.unknown_emotion=0.0',)),
  'e_neutral': Row('unknown e is neutral', records='neutral'),
  'z_mean': Row('z is the mean of the posterior',
                ('data.posterior_share=1.0', 'data.temperature=0.0')),
  'z_posterior': Row('z from the posterior only', ('data.posterior_share=1.0',)),
  'z_prior': Row('z from the prior only', ('data.posterior_share=0.0',)),
  'plain': Row('rendering without the texture and light of the person', records='plain'),
  'bare': Row('rendering without the shoulders of the person', records='bare'),
  'perceptual': Row('with LPIPS', ('loss.perceptual=0.3', 'loss.perceptual_crop=64')),
  'critic': Row('with a discriminator', ('loss.adversarial=0.05',)),
  'begun': Row('begun with the painter of --begin'),
}  # fmt: skip
NUMBERS = (
  'portrait_psnr_db', 'portrait_lpips', 'portrait_psnr_spread_db', 'grid_energy_ratio',
  'identity_similarity', 'flicker_ratio', 'emotion_fer', 'emotion_faceapi',
)  # fmt: skip


class Plan(NamedTuple):
  """Where everything is and how much of it there is."""

  videos: Sequence[str]
  out: Path
  preset: person_steps.Preset
  origin: person_steps.Origin
  steps: int
  begin: str  # a talker, or ''


def shared(plan: Plan) -> list[Step]:
  """Records and the first two stages, as `gmtalker person` begins."""
  steps = person_steps.steps(plan.videos, plan.out, plan.preset, plan.origin, 'person')
  begun = itertools.takewhile(lambda step: step.name != person_steps.PORTRAIT, steps)
  prepare = steps[0].arguments
  at = prepare.index(str(plan.out / 'records'))

  def again(name: str, *more: str) -> Step:
    where = str(plan.out / name)
    return Step(name, (*prepare[:at], where, *prepare[at + 1 :], *more), steps[0].share)

  labels = plan.out / 'labels.csv'
  files.write_text(labels, ''.join(f'{Path(video).name},neutral\n' for video in plan.videos))
  return [
    *begun, again('plain', '--plain'), again('bare', '--no-shoulders'),
    again('neutral', '--emotions', str(labels)),
  ]  # fmt: skip


def portrait(plan: Plan, name: str, seed: int) -> list[Step]:
  """Trains, bundles and measures one row with one seed."""
  row, at = ROWS[name], plan.out / f'{name}_{seed}'
  records, runs = str(plan.out / row.records), plan.out / 'runs'
  begin = (f'--config.init_from={plan.begin}',) if name == 'begun' else ()
  train = (
    'train', f'--config=configs/portrait.py:{plan.preset.variant}', f'--workdir={at / "run"}',
    f'--config.data.records={records}', f'--config.data.expression_workdir={runs / "expression"}',
    f'--config.steps={plan.steps}', f'--config.optimizers.generator.decay_steps={plan.steps}',
    f'--config.seed={seed}', *begin, *(f'--config.{flag}' for flag in row.flags),
  )  # fmt: skip
  bundle = (
    'bundle', '--expression', str(runs / 'expression'), '--motion', str(runs / 'motion'),
    '--portrait', str(at / 'run'), '--out', str(at / 'talker'),
  )  # fmt: skip
  measure = (
    'evaluate', '--talker', str(at / 'talker'), '--portrait-records', records,
    '--metrics', ','.join(NUMBERS), '--out', str(at / 'metrics.json'),
  )  # fmt: skip
  kinds = {'train': (train, 8), 'bundle': (bundle, 0.1), 'evaluate': (measure, 2)}
  return [Step(f'{name} {seed}: {k}', command, share) for k, (command, share) in kinds.items()]


def table(found: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
  """Markdown: a line for each row, mean ± standard deviation over its seeds."""
  lines = ['| | ' + ' | '.join(NUMBERS) + ' | seeds |', '|---|' + '---|' * (len(NUMBERS) + 1)]
  for name, runs in found.items():
    cells = []
    for number in NUMBERS:
      values = np.array([run[number] for run in runs if run.get(number) is not None], float)
      spread = f' ± {values.std(ddof=1):.3f}' if len(values) > 1 else ''
      cells.append(f'{values.mean():.3f}{spread}' if len(values) else 'none')
    lines.append(f'| {ROWS[name].about} | ' + ' | '.join(cells) + f' | {len(runs)} |')
  return '\n'.join(lines) + '\n'


def main(argv: Sequence[str] | None = None) -> int:
  """Runs what is not done yet, and writes OUT/table.md."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('videos', nargs='+')
  parser.add_argument('--out', type=Path, required=True)
  parser.add_argument('--rows', default='', help='some of: ' + ', '.join(ROWS))
  parser.add_argument('--seeds', default='0,1,2')
  parser.add_argument('--steps', type=int, default=900, help='of each portrait')
  parser.add_argument('--preset', default='quick', choices=('quick', 'smoke'))
  parser.add_argument('--begin', default='', help='a talker of this size, for the row "begun"')
  args = parser.parse_args(argv)
  rows = args.rows.split(',') if args.rows else [r for r in ROWS if args.begin or r != 'begun']
  if unknown := sorted(set(rows) - set(ROWS)):
    parser.error(f'got the rows {unknown}, expected some of {list(ROWS)}')
  if 'begun' in rows and not args.begin:
    parser.error('got the row "begun" without --begin, expected a talker to begin with')

  who = talker.load('builtin')
  models = {name: bundling.hyperparameters(getattr(who, name).module) for name in STAGES}
  origin = person_steps.Origin('builtin', models, who.speech_encoder)
  preset = person_steps.PRESETS[args.preset]
  plan = Plan(args.videos, args.out, preset, origin, args.steps, args.begin)
  args.out.mkdir(parents=True, exist_ok=True)
  steps, done = shared(plan), {}
  seeds = [int(seed) for seed in args.seeds.split(',')]
  for seed in seeds:  # all rows once, then again: half of the time gives a whole table
    for name in rows:
      steps += portrait(plan, name, seed)
      if code := course.run(steps, args.out, args.preset):
        return code
      metrics = files.read_json(args.out / f'{name}_{seed}' / 'metrics.json')
      done.setdefault(name, []).append(metrics)
      files.write_text(args.out / 'table.md', table(done))
  sys.stdout.write((args.out / 'table.md').read_text())
  return 0


if __name__ == '__main__':
  sys.exit(main())
