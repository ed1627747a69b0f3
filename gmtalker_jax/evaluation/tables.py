"""The tables of an evaluation in the form of the field's: pictures, lips, motion, emotions.

A row is who made it: the talker with its intervals, the truth, and those that anybody could send in
its place. Only what this evaluation measured is in them: no number of anybody's paper.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from gmtalker_jax.evaluation import metrics
from gmtalker_jax.evaluation.performers import TALKER

HOLE = '–'
_TABLES = {
  'Image quality': (
    'portrait_psnr_db', 'portrait_ssim', 'portrait_lpips', 'frechet_mobilefacenet',
    'frechet_alexnet', 'identity_similarity',
  ),
  'Lips and emotion': (
    'm_lmd_px', 'f_lmd_px', 'm_lmvd_px', 'f_lmvd_px', 'mouth_lmd_ratio', 'lip_closure_recall',
    'sync_confidence', 'sync_offset_ms', 'emotion_accuracy', 'emotion_fer', 'emotion_faceapi',
  ),
  'Motion': (
    'motion_diversity_ratio', 'motion_diversity_ratio_pose', 'motion_diversity_ratio_blink',
    'motion_diversity_ratio_gaze', 'beat_alignment', 'blink_rate', 'blink_duration',
    'motion_log_likelihood',
  ),
  'The space of emotions': (
    'eppl', 'epdv', 'eppl_pictures', 'epdv_pictures', 'silhouette', 'knn_purity',
    'responsibility_accuracy',
  ),
}  # fmt: skip


class Cell(NamedTuple):
  """A number, its interval where there is one."""

  number: float | None
  about: Sequence[float] | None = None

  def text(self, hole: str = HOLE) -> str:
    """To be read."""
    if self.number is None:
      return hole
    span = '' if self.about is None else f' [{self.about[0]:.3g}, {self.about[1]:.3g}]'
    return f'{self.number:.3g}{span}'


class Table(NamedTuple):
  """One of them."""

  title: str
  columns: dict[str, str]  # metric -> its heading, with an arrow to where it is better
  rows: dict[str, list[Cell]]  # who -> a cell a column


def tables(found: Mapping[str, Any]) -> list[Table]:
  """Those of which anything was measured."""
  made = []
  for title, names in _TABLES.items():
    names = [name for name in names if found.get(name) is not None]
    if names:
      made.append(Table(title, {n: f'{n} {_arrow(n)}' for n in names}, _rows(found, names)))
  return made


def _rows(found: Mapping[str, Any], names: Sequence[str]) -> dict[str, list[Cell]]:
  intervals, measured = found.get('intervals', {}), found.get('rows', {})
  rows = {TALKER: [Cell(found[n], intervals.get(n)) for n in names]}
  for who, numbers in measured.items():
    if who != TALKER and any(n in numbers for n in names):
      rows[who] = [Cell(numbers.get(n)) for n in names]
  references = {n: _number(metrics.METRICS[n].truth, found) for n in names}
  if any(value is not None for value in references.values()):
    truth = rows.get('truth', [Cell(None)] * len(names))
    pairs = zip(names, truth, strict=True)
    rows['truth'] = [c if c.number is not None else Cell(references[n]) for n, c in pairs]
  return rows


def _number(reference: float | str | None, found: Mapping[str, Any]) -> float | None:
  return found.get(reference) if isinstance(reference, str) else reference


def _arrow(name: str) -> str:
  better = metrics.METRICS[name].better
  if isinstance(better, str):
    return {'lower': '↓', 'higher': '↑'}[better]
  return f'({better[0]:g} to {better[1]:g})'


def markdown(found: Mapping[str, Any]) -> str:
  """All tables, the checks and the definitions, for a page of text."""
  lines = ['# Evaluation', '', *_words(found), '']
  for table in tables(found):
    lines += [f'## {table.title}', '', '| | ' + ' | '.join(table.columns.values()) + ' |']
    lines.append('|---' * (len(table.columns) + 1) + '|')
    for who, cells in table.rows.items():
      lines.append('| ' + ' | '.join([who, *(cell.text() for cell in cells)]) + ' |')
    lines.append('')
  lines += ['## Definitions', '']
  lines += [f'- `{name}`: {text}' for name, text in found.get('definitions', {}).items()]
  return '\n'.join(lines) + '\n'


def _words(found: Mapping[str, Any]) -> Iterator[str]:
  checks = found.get('checks', [])
  failed = [check for check in checks if not check['holds']]
  counts = ', '.join(f'{n} {what}' for what, n in found.get('clips', {}).items())
  yield f'{found.get("protocol", {}).get("about", "")}: {counts}. In brackets: 95 % over clips.'
  yield ''
  yield f'Sanity checks: {len(checks) - len(failed)} of {len(checks)} hold.'
  for check in failed:
    yield f'- **FAILED** {check["metric"]}: {check["sentence"]}'


def latex(found: Mapping[str, Any]) -> str:
  """All tables for a paper (booktabs); one that fails a check says so in red (xcolor)."""
  parts = []
  failed = {check['metric'] for check in found.get('checks', []) if not check['holds']}
  for table in tables(found):
    heads = [
      rf'\textcolor{{red}}{{{_escape(head)}}}' if name in failed else _escape(head)
      for name, head in table.columns.items()
    ]
    parts += [
      f'% {table.title}', r'\begin{tabular}{l' + 'r' * len(heads) + '}', r'\toprule',
      ' & '.join(['', *heads]) + r' \\', r'\midrule',
      *(' & '.join([_escape(who), *(c.text('--') for c in cells)]) + r' \\'
        for who, cells in table.rows.items()),
      r'\bottomrule', r'\end{tabular}', '',
    ]  # fmt: skip
  return '\n'.join(parts)


def _escape(text: str) -> str:
  for letter in '_&%#':
    text = text.replace(letter, f'\\{letter}')
  return text.replace('↓', r'$\downarrow$').replace('↑', r'$\uparrow$')
