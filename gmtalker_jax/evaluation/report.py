"""One self-contained page about a demo: what was made, how good it is, and how it was made."""

import base64
import io
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
from PIL import Image

from gmtalker_jax.evaluation import metrics, plots
from gmtalker_jax.io import files, video, writers

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
  reached: bool | None
  truth: str
  baseline: str


# key -> (what a newcomer reads, comparison, bound)
_TARGETS: dict[str, tuple[str, str, Any]] = {
  'mouth_lmd_ratio': ('The mouth is where it should be', '<=', 0.75),
  'mouth_lmd_shuffle_rise': ('... because of the sound', '>=', 0.20),
  'emotion_accuracy': ('The emotion asked for is the one shown', '>=', 0.80),
  'motion_diversity_ratio': ('Heads move as differently as real ones', 'in', (0.5, 1.5)),
  'portrait_psnr_gain_db': ('The picture is a photo, not a rendering', '>=', 6.0),
  'silence_jaw_open': ('Silence closes the mouth', '<=', 0.05),
}
_TRUTH = {
  'mouth_lmd_ratio': '0',
  'motion_diversity_ratio': '1',
  'silence_jaw_open': '0',
  'emotion_accuracy': 'emotion_accuracy_truth',
}
_BASELINES = {
  'mouth_lmd_ratio': 'mean face 1',
  'mouth_lmd_shuffle_rise': 'mean face 0',
  'emotion_accuracy': 'guessing 0.125',
  'motion_diversity_ratio': 'always the mean 0',
  'portrait_psnr_gain_db': 'plain rendering 0',
}
# Per stage the plots, and per plot the quantities that share its axis.
_CURVES = {
  'expression': (('rec', 'rec_free'), ('responsibility_accuracy',), ('loss',)),
  'motion': (('rec', 'rec_free'), ('kl',), ('loss',)),
  'portrait': (('l1',), ('psnr',), ('loss',)),
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
    definitions=metrics.DEFINITIONS,
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
  for key, (text, relation, bound) in _TARGETS.items():
    if key not in found:
      continue
    truth = _TRUTH.get(key, '')
    rows.append(
      Row(
        key,
        text,
        f'{found[key]:.3g}',
        f'{bound[0]} to {bound[1]}' if relation == 'in' else f'{relation} {bound}',
        _reached(found[key], relation, bound),
        f'{found[truth]:.3g}' if truth in found else truth,
        _BASELINES.get(key, ''),
      )
    )
  return rows


def _reached(value: float, relation: str, bound: Any) -> bool:
  if relation == 'in':
    return bound[0] <= value <= bound[1]
  return value <= bound if relation == '<=' else value >= bound


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
    ('moving', lambda c: plots.emotion_track(c['weights'][0], c['expression'][0])),
  ):
    path = folder / f'{name}.npz'
    if path.is_file():
      with np.load(path, allow_pickle=False) as coefficients:
        figures[name] = draw(coefficients)
  return figures


def _curves(folder: Path) -> dict[str, list[str]]:
  """Training curves per stage: one small plot per quantity."""
  result = {}
  for stage, quantities in _CURVES.items():
    rows = writers.read_metrics(folder / 'runs' / stage)
    known = sorted({name for row in rows for name in row})
    drawn = [plots.training_curve(rows, names) for names in _groups(known, quantities)]
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
