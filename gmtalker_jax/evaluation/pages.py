"""What all pages have in common: videos, curves and the template, in one file that travels."""

import base64
import io
import itertools
import tempfile
from collections.abc import Iterable, Mapping, Sequence
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


def defined(found: Mapping[str, Any]) -> list[tuple[Metric, float | None]]:
  """What the numbers mean: each measured metric with its value."""
  return [(metric, found[name]) for name, metric in metrics.METRICS.items() if name in found]


def videos(folder: Path) -> dict[str, Film]:
  """Name -> film of each mp4 of the folder."""
  return {path.stem: _film(path) for path in sorted(folder.glob('*.mp4'))}


def film(frames: Iterable[np.ndarray]) -> Film:
  """A silent film of frames uint8 [H, W, 3]."""
  with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / 'film.mp4'
    video.write(path, iter(frames), None)
    return _film(path)


def picture(pixels: np.ndarray) -> str:
  """Pixels uint8 [H, W, 3] as the data URI of a JPEG."""
  blob = io.BytesIO()
  Image.fromarray(pixels).save(blob, 'jpeg', quality=85)
  return _uri('image/jpeg', blob.getvalue())


def _film(path: Path) -> Film:
  """A video with its poster."""
  *_, frame = itertools.islice(video.stream(path), POSTER + 1)
  return Film(_uri('video/mp4', path.read_bytes()), picture(frame))


def _uri(kind: str, blob: bytes) -> str:
  return f'data:{kind};base64,{base64.b64encode(blob).decode()}'


def curves(folder: Path) -> dict[str, list[str]]:
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


def read(path: Path) -> dict[str, Any]:
  """A JSON file; empty where there is none."""
  return files.read_json(path) if path.is_file() else {}


def template(name: str) -> jinja2.Template:
  """A template of this folder."""
  environment = jinja2.Environment(
    loader=jinja2.PackageLoader('gmtalker_jax.evaluation', '.'),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  return environment.get_template(name)
