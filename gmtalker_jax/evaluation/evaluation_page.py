"""An evaluation to be read: Markdown, LaTeX, and one page with plots, beside its numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gmtalker_jax.evaluation import metrics, pages, plots, tables
from gmtalker_jax.evaluation.exhibits import Exhibits
from gmtalker_jax.io import files

_CONFUSIONS = {
  'emotion_confusion': 'Which emotion was asked for, and which one the classifier saw.',
  'emotion_fer_confusion': 'The same as the network fer sees the portraits.',
  'emotion_faceapi_confusion': 'The same as FaceExpressionNet sees the portraits.',
}


def write(out: Path, found: Mapping[str, Any], shown: Exhibits) -> None:
  """Writes .md, .tex and .html beside the numbers in the file `out`."""
  files.write_text(out.with_suffix('.md'), tables.markdown(found))
  files.write_text(out.with_suffix('.tex'), tables.latex(found))
  page = pages.template('evaluation.html.jinja').render(
    found=found,
    tables=tables.tables(found),
    failed=[check for check in found['checks'] if not check['holds']],
    defined=pages.defined(found),
    figures=_figures(found, shown),
    strips={name: pages.picture(strip) for name, strip in shown.strips.items()},
    shown_film=pages.film(shown.film) if shown.film else None,
  )
  files.write_text(out.with_suffix('.html'), page)


def _figures(found: Mapping[str, Any], shown: Exhibits) -> dict[str, str]:
  """Caption -> SVG."""
  figures = {}
  for table in tables.tables(found)[:2]:
    for name, heading in table.columns.items():
      scores, about = _scores(found, name), found['intervals'].get(name)
      if len(scores) > 1:
        caption = f'{heading}: the talker with its interval, the truth and the trivial.'
        label = f'{name} ({metrics.METRICS[name].unit})'
        figures[caption] = plots.ranks(scores, about, label)
  if shown.points is not None:
    caption = 'Held-out clips in the space of emotions (t-SNE of the posterior means).'
    figures[caption] = plots.embedding(shown.points.points.tolist(), shown.points.emotions)
  if shown.heads is not None:
    caption = f'How the head moves to one sound, {len(shown.heads)} seeds.'
    figures[caption] = plots.seeds(shown.heads)
  for name, caption in _CONFUSIONS.items():
    if found.get(name):
      figures[caption] = plots.confusion(found[name])
  return figures


def _scores(found: Mapping[str, Any], name: str) -> dict[str, float]:
  rows = {who: numbers.get(name) for who, numbers in found['rows'].items()}
  return {who: value for who, value in rows.items() if value is not None}
