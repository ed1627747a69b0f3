"""One self-contained page about a demo: what was made, how good it is, and how it was made."""

import base64
import io
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
from PIL import Image

from gmtalker_jax.evaluation import metrics, plots
from gmtalker_jax.evaluation.metrics.metric import Metric
from gmtalker_jax.io import files, video, writers
from gmtalker_jax.stages import STAGES

POSTER = 25  # the frame that a video shows before it is played: a second in, mid-sentence


class Film(NamedTuple):
  """A video of the page, as data URIs."""

  source: str
  poster: str


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
  found = _json(folder / 'metrics.json')
  page = _template().render(
    metrics=table(found),
    lmd=_lmd_rows(found),
    found=found,
    defined=_defined(found),
    videos=_videos(folder),
    figures=_figures(folder, found),
    curves=_curves(folder),
    builtin=_json(folder / 'builtin' / 'metrics.json'),
    steps=_json(folder / 'times.json').get('steps', []),
    machine=_json(folder / 'times.json').get('machine', ''),
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


def _defined(found: Mapping[str, Any]) -> list[tuple[Metric, float | None]]:
  """What the numbers mean: each measured metric with its value."""
  return [(metric, found[name]) for name, metric in metrics.METRICS.items() if name in found]


def _lmd_rows(found: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
  """The baselines' table: name, mouth distance, face distance, closed lips."""
  entries = found.get('baselines', {}).get('expression', {})
  return [
    (name, f'{v["mouth_lmd"]:.4f}', f'{v["face_lmd"]:.4f}', f'{v["lip_closure_recall"]:.2f}')
    for name, v in entries.items()
  ]


def _videos(folder: Path) -> dict[str, Film]:
  """Name -> film of each mp4 of the folder."""
  return {
    path.stem: Film(_uri('video/mp4', path.read_bytes()), _uri('image/jpeg', _poster(path)))
    for path in sorted(folder.glob('*.mp4'))
  }


def _poster(path: Path) -> bytes:
  """A frame of the video as JPEG."""
  *_, frame = itertools.islice(video.stream(path), POSTER + 1)
  blob = io.BytesIO()
  Image.fromarray(frame).save(blob, 'jpeg', quality=85)
  return blob.getvalue()


def _uri(kind: str, blob: bytes) -> str:
  return f'data:{kind};base64,{base64.b64encode(blob).decode()}'


def _figures(folder: Path, found: Mapping[str, Any]) -> dict[str, str]:
  figures = {}
  points = _json(folder / 'embedding.json')
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


def _curves(folder: Path) -> dict[str, list[str]]:
  """Training curves per stage: one small plot per quantity."""
  result = {}
  for stage, spec in STAGES.items():
    rows = writers.read_metrics(folder / 'runs' / stage)
    known = sorted({name for row in rows for name in row})
    drawn = [plots.training_curve(rows, names) for names in _groups(known, spec.curves)]
    if drawn:
      result[stage] = drawn
  return result


def _groups(known: Sequence[str], plots_of_stage: Sequence[Sequence[str]]) -> list[dict[str, str]]:
  """Per plot the train and test metrics of these quantities: {metric: label}."""
  groups = []
  for quantities in plots_of_stage:
    names = [n for n in known if n.rsplit('/', 1)[-1] in quantities]
    if names:
      groups.append({n: f'{n.rsplit("/", 1)[-1]}, {n.split("/")[0]}' for n in names})
  return groups


def _json(path: Path) -> dict[str, Any]:
  return files.read_json(path) if path.is_file() else {}


def _template() -> jinja2.Template:
  environment = jinja2.Environment(
    loader=jinja2.PackageLoader('gmtalker_jax.evaluation', '.'),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  return environment.get_template('report.html.jinja')
