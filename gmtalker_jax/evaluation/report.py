"""One self-contained page about a demo: what was made, how good it is, and how it was made."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gmtalker_jax.evaluation import metrics, pages, plots
from gmtalker_jax.io import files


class Row(NamedTuple):
  """One line of the table of numbers."""

  name: str
  text: str
  value: str
  target: str
  reached: bool
  truth: str
  baseline: str


class Target(NamedTuple):
  """What the demo is to reach in one metric."""

  text: str  # what a newcomer reads
  at_least: float = -math.inf
  at_most: float = math.inf

  def __str__(self) -> str:
    if self.at_least == -math.inf:
      return f'<= {self.at_most}'
    if self.at_most == math.inf:
      return f'>= {self.at_least}'
    return f'{self.at_least} to {self.at_most}'


_TARGETS = {
  'mouth_lmd_ratio': Target('The mouth is where it should be', at_most=0.75),
  'mouth_lmd_shuffle_rise': Target('... because of the sound', at_least=0.20),
  'emotion_accuracy': Target('The emotion asked for is the one shown', at_least=0.80),
  'motion_diversity_ratio': Target(
    'Heads move as differently as real ones', at_least=0.5, at_most=1.5
  ),
  'portrait_psnr_gain_db': Target('The picture is a photo, not a rendering', at_least=6.0),
  'silence_jaw_open': Target('Silence closes the mouth', at_most=0.05),
}


def build(folder: str | Path) -> Path:
  """Writes FOLDER/report.html from what the commands of the demo left in FOLDER.

  What is not there is left out of the page. Returns the page's path.
  """
  folder = Path(folder)
  found = pages.read(folder / 'metrics.json')
  page = pages.template('report.html.jinja').render(
    metrics=table(found),
    lmd=_lmd_rows(found),
    found=found,
    defined=pages.defined(found),
    videos=pages.videos(folder),
    figures=_figures(folder, found),
    curves=pages.curves(folder),
    builtin=pages.read(folder / 'builtin_metrics.json'),
    steps=pages.read(folder / 'times.json').get('steps', []),
    machine=pages.read(folder / 'times.json').get('machine', ''),
  )
  path = folder / 'report.html'
  files.write_text(path, page)
  return path


def table(found: Mapping[str, Any]) -> list[Row]:
  """The headline numbers against their targets, the truth and a trivial baseline."""
  rows = []
  for name, target in _TARGETS.items():
    if name in found:
      metric, value = metrics.METRICS[name], found[name]
      reached = target.at_least <= value <= target.at_most
      references = metric.truth_in(found), metric.baselines_in(found)
      rows.append(Row(name, target.text, f'{value:.3g}', str(target), reached, *references))
  return rows


def _lmd_rows(found: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
  """The table of who moves the face: name, mouth distance, face distance, closed lips."""
  return [
    (who, f'{v["mouth_lmd"]:.4f}', f'{v["face_lmd"]:.4f}', _or_nothing(v['lip_closure_recall']))
    for who, v in found.get('rows', {}).items()
    if 'mouth_lmd' in v
  ]


def _or_nothing(value: float | None) -> str:
  return '' if value is None else f'{value:.2f}'


def _figures(folder: Path, found: Mapping[str, Any]) -> dict[str, str]:
  figures = {}
  points = pages.read(folder / 'embedding.json')
  if points:
    figures['embedding'] = plots.embedding(points['points'], points['emotions'])
  if 'emotion_confusion' in found:
    figures['confusion'] = plots.confusion(found['emotion_confusion'])
  for name, draw in (
    ('seeds', lambda c: plots.seeds(c['motion'])),
    ('moving', lambda c: plots.emotion_track(c['emotion'][0], c['expression'][0])),
  ):
    path = folder / f'{name}.npz'
    if path.is_file():
      with np.load(path, allow_pickle=False) as coefficients:
        figures[name] = draw(coefficients)
  return figures
