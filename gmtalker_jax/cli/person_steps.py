"""The steps from videos of somebody to their talker: which commands, with which numbers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gmtalker_jax.cli import shipped
from gmtalker_jax.cli.course import Step

# The expression generator keeps what it knows of emotions and of latents; it learns the manner.
_KEPT = 'encoder,tokens,pool_w,pool_z,head_w,head_z,mog_mapper'
PORTRAIT = 'the picture (portrait)'  # the step that takes most of the time
_FLOW = 'conditioners'  # of the motion generator: pre-trained, stays (method 3)


class Preset(NamedTuple):
  """How long a portrait is worked on."""

  size: int  # pixels of the pictures
  generators: str  # variant of configs/expression.py and motion.py
  expression: int  # steps
  motion: int  # steps
  variant: str  # of configs/portrait.py
  portrait: int  # steps
  more: tuple[str, ...]  # further flags of the portrait
  shares: tuple[float, ...]  # minutes of each step on two cores, about


_QUICK = 3, 0.5, 3, 1, 1, 8, 0.3, 2, 1, 1, 1
_GOOD = 2, 0.5, 6, 2, 1, 40, 0.2, 3, 1, 3, 4
PRESETS = {
  'quick': Preset(128, 'builtin', 600, 150, 'demo', 2_000, (), _QUICK),
  'good': Preset(
    256, 'builtin', 1_200, 300, 'builtin', 2_000,
    ('--config.loss.perceptual=0.3', '--config.loss.perceptual_crop=64'), _GOOD,
  ),
  'best': Preset(
    512, 'builtin', 2_000, 1_000, 'builtin', 16_000,
    ('--config.model.output_size=512', '--config.loss.perceptual=0.3',
     '--config.loss.perceptual_crop=96', '--config.loss.adversarial=0.05'),
    (10, 1, 10, 4, 5, 700, 0.3, 12, 4, 6, 6),
  ),
  'accelerator': Preset(
    512, 'builtin', 2_000, 2_000, '', 30_000,
    ('--config.loss.perceptual=0.03', '--config.data.batch_size=16'),
    (10, 1, 4, 4, 5, 60, 1, 3, 1, 1, 1),
  ),
  'smoke': Preset(64, 'smoke', 4, 4, 'smoke', 4, (), _QUICK),
}  # fmt: skip


class Origin(NamedTuple):
  """The talker whose weights a portrait begins with."""

  path: str  # a directory, or 'builtin'
  models: Mapping[str, Mapping[str, Any]]  # hyperparameters of its networks, by stage
  encoder: str  # what it hears through


def steps(
  videos: Sequence[str],
  out: Path,
  preset: Preset,
  origin: Origin,
  name: str = '',
  emotions: str = '',
) -> list[Step]:
  """All commands of a portrait.

  Args:
    videos: of the person.
    out: everything goes there.
    preset: sizes and steps.
    origin: where it begins.
    name, emotions: see `gmtalker prepare`.
  """
  at = lambda path: str(out / path)  # noqa: E731

  def train(
    stage: str, variant: str, count: int, *more: str, records: str = 'records'
  ) -> tuple[str, ...]:
    return (
      'train', f'--config=configs/{stage}.py:{variant}', f'--workdir={at(f"runs/{stage}")}',
      f'--config.data.records={at(records)}', f'--config.steps={count}',
      f'--config.optimizers.generator.decay_steps={count}', *more,
    )  # fmt: skip

  def tuned(stage: str, count: int, rate: str, frozen: str, records: str) -> tuple[str, ...]:
    return train(
      stage, preset.generators, count, f'--config.init_from={origin.path}',
      *_as(origin.models[stage], stage, preset.generators),
      f'--config.optimizers.generator.frozen={frozen}',
      f'--config.optimizers.generator.rate={rate}',
      '--config.optimizers.generator.warmup=20', records=records,
    )  # fmt: skip

  # A painter that knows faces is the better beginning, where it paints pictures of this size.
  same = (origin.models['portrait']['input_size'], origin.models['portrait']['output_size'])
  begun = preset.variant == 'builtin' and same == (preset.size, preset.size)
  shape = _as(origin.models['portrait'], 'portrait', preset.variant)
  beginning = (f'--config.init_from={origin.path}', *shape) if begun else ()
  # As many acted frames as filmed ones. Where emotions were filmed, each has the same share.
  balance = () if emotions else ('--config.data.balanced=False',)
  named = [*(['--name', name] if name else []), *(['--emotions', emotions] if emotions else [])]
  sound = at('records/held_out.wav')
  speak = ('speak', '--talker', at('talker'), '--audio', sound)
  commands = {
    'records': (
      'prepare', 'person', *videos, '--out', at('records'), '--size', str(preset.size),
      '--encoder', origin.encoder, '--overwrite', *named,
    ),
    'the emotions (acted)': (
      'act', '--talker', origin.path, '--records', at('records'), '--out', at('acted'),
    ),
    'the manner (expression)': tuned('expression', preset.expression, '5e-4', _KEPT, 'acted'),
    'the head (motion)': tuned('motion', preset.motion, '2e-4', _FLOW, 'records'),
    'the emotions (pictured)': (
      'act', '--talker', origin.path, '--records', at('records'), '--out', at('pictured'),
      '--pictures',
    ),
    PORTRAIT: train(
      'portrait', preset.variant, preset.portrait, *beginning, *preset.more,
      f'--config.data.expression_workdir={at("runs/expression")}', *balance, records='pictured',
    ),
    'bundle': (
      'bundle', '--expression', at('runs/expression'), '--motion', at('runs/motion'),
      '--portrait', at('runs/portrait'), '--out', at('talker'),
    ),
    'evaluate': (
      'evaluate', '--talker', at('talker'), '--portrait-records', at('records'), '--out',
      at('metrics.json'),
    ),
    'truth beside portrait': (
      'reenact', '--talker', at('talker'), '--records', at('records'), '--audio', sound, '--out',
      at('beside.mp4'),
    ),
    'speak: eight emotions': (*speak, '--grid', 'emotions', '--out', at('emotions.mp4')),
    'speak: ten seeds': (*speak, '--grid', 'seeds', '--out', at('seeds.mp4')),
  }  # fmt: skip
  return [
    Step(what, command, share)
    for (what, command), share in zip(commands.items(), preset.shares, strict=True)
  ]


def _as(model: Mapping[str, Any], stage: str, variant: str) -> list[str]:
  """Flags that make a variant's network one of these hyperparameters."""
  config = shipped.module(f'configs.{stage}').get_config(variant).model
  return [f'--config.model.{k}={v}' for k, v in model.items() if k in config and config[k] != v]
