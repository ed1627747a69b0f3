"""One self-contained page about a person's portrait: what it looks like, how good it is, how made.

It shows a person: it is for those whom that person allows to see it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gmtalker_jax.data import schema
from gmtalker_jax.evaluation import metrics, pages
from gmtalker_jax.io import files

PAGE = 'person.html'
# What the page tells first, and how a newcomer reads it.
_HEADLINES = {
  'portrait_psnr_db': 'Nearness to the photograph, pixel by pixel',
  'portrait_lpips': 'Difference that an eye would see',
  'identity_similarity': 'The same person, says a network for faces',
  'grid_energy_ratio': 'No grid over the face',
  'placement_within': 'The head is where the painter has seen it',
  'mouth_lmd_shuffle_rise': 'How much worse the lips fit with the wrong sound (0 = they ignore it)',
  'flicker_ratio': 'What stands still does not flicker',
  'emotion_fer': 'A stranger (fer) sees the emotion that was asked for',
  'emotion_faceapi': 'Another one (FaceExpressionNet) sees it',
}


def build(folder: str | Path) -> Path:
  """Writes FOLDER/person.html from what `gmtalker person` left there; returns its path.

  The seconds of each step join FOLDER/metrics.json as `seconds`.
  """
  folder = Path(folder)
  diary, found = pages.read(folder / 'times.json'), pages.read(folder / 'metrics.json')
  steps = diary.get('steps', [])
  if found:
    found['seconds'] = {step['name']: step['seconds'] for step in steps}
    files.write_json(folder / 'metrics.json', found)
  report = pages.read(folder / 'records' / 'report.json')
  page = pages.template('person.html.jinja').render(
    name=', '.join(report.get('subjects', [])),
    report=report,
    held_out=sum(c['seconds'] for c in report.get('accepted', []) if c['split'] == 'test'),
    videos=pages.videos(folder),
    rows=_rows(found),
    by_emotion=_by_emotion(found),
    curves=pages.curves(folder),
    defined=pages.defined(found),
    steps=steps,
    machine=diary.get('machine', ''),
    preset=diary.get('preset', ''),
  )
  path = folder / PAGE
  files.write_text(path, page)
  return path


def _rows(found: Mapping[str, Any]) -> list[dict[str, str]]:
  """The headline numbers with their references."""
  return [
    {
      'text': text,
      'name': name,
      'value': f'{found[name]:.3g} {metrics.METRICS[name].unit}',
      'truth': metrics.METRICS[name].truth_in(found),
      'trivial': metrics.METRICS[name].baselines_in(found),
    }
    for name, text in _HEADLINES.items()
    if found.get(name) is not None
  ]


def _by_emotion(found: Mapping[str, Any]) -> list[tuple[str, float]]:
  values = found.get('portrait_psnr_by_emotion', {})
  return [(name, values[name]) for name in (*schema.EMOTIONS, 'drawn') if name in values]
