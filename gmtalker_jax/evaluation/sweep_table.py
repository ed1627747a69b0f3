"""The table of a sweep: means over seeds, their spread, how rows differ, and the holes."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import stats

from gmtalker_jax.evaluation import pages, plots
from gmtalker_jax.io import files, writers

SEED = 'seed'  # the axis that rows are means over
HOLE = '–'
LEVEL = 0.95  # of intervals


class Run(NamedTuple):
  """One point."""

  choices: Mapping[str, str]  # axis -> value
  numbers: Mapping[str, float | None]  # empty: a hole
  workdir: Path  # its curves
  reason: str = ''  # of the hole


class Cell(NamedTuple):
  """One number of one row."""

  mean: float | None  # None: no run has it
  spread: float | None  # standard deviation over seeds (n - 1); None for fewer than two
  count: int

  def text(self, plus_minus: str = '±', hole: str = HOLE) -> str:
    """Mean and spread, to be read."""
    if self.mean is None:
      return hole
    spread = '' if self.spread is None else f' {plus_minus} {self.spread:.2g}'
    return f'{self.mean:.4g}{spread}'


class Row(NamedTuple):
  """All seeds of one choice."""

  choices: Mapping[str, str]
  cells: Mapping[str, Cell]
  done: int
  planned: int

  @property
  def seeds(self) -> str:
    """How many seeds are done, of how many."""
    return str(self.done) if self.done == self.planned else f'{self.done}/{self.planned}'


class Difference(NamedTuple):
  """A number of a row less that of the first row, seed by seed."""

  mean: float | None  # None: no seed has both
  reach: float | None  # half of the 95 % interval of the mean; None for fewer than two seeds

  @property
  def is_told(self) -> bool:
    """Whether the interval leaves out 0."""
    return self.mean is not None and self.reach is not None and abs(self.mean) > self.reach

  def text(self) -> str:
    """Mean and interval, to be read."""
    if self.mean is None:
      return HOLE
    return f'{self.mean:+.3g}' + ('' if self.reach is None else f' ± {self.reach:.2g}')


def write(folder: Path, question: str, read: Sequence[str], runs: Sequence[Run]) -> str:
  """Writes FOLDER/table.{md,csv,tex,html}; returns the first."""
  rows, missing, apart = table(read, runs), list(holes(runs)), differences(read, runs)
  text = markdown(question, rows, missing, apart)
  files.write_text(folder / 'table.md', text)
  files.write_text(folder / 'table.csv', comma_separated(rows))
  files.write_text(folder / 'table.tex', latex(question, rows, missing))
  page = pages.template('sweep_table.html.jinja').render(
    question=question, rows=rows, differences=apart, holes=missing, curves=curves(read, runs)
  )
  files.write_text(folder / 'table.html', page)
  return text


def table(read: Sequence[str], runs: Sequence[Run]) -> list[Row]:
  """A row for each choice of all axes but the seed, in the order in which they come."""
  return [
    Row(
      dict(choices),
      {name: _cell([run.numbers.get(name) for run in group]) for name in read},
      sum(bool(run.numbers) for run in group),
      len(group),
    )
    for choices, group in _groups(runs).items()
  ]


def differences(read: Sequence[str], runs: Sequence[Run]) -> dict[str, dict[str, Difference]]:
  """Row, by its choices in a line -> number -> how it differs from the first row.

  Runs of one seed share records, order and first weights where they can, so they are compared in
  pairs; the interval is Student's t over the pairs. Empty without seeds to pair.
  """
  (_, first), *others = _groups(runs).items()
  if SEED not in runs[0].choices:
    return {}
  base = {run.choices[SEED]: run.numbers for run in first}
  return {
    _name(dict(choices)): {
      name: _difference([
        (run.numbers.get(name), base.get(run.choices[SEED], {}).get(name)) for run in group
      ])
      for name in read
    }
    for choices, group in others
  }  # fmt: skip


def holes(runs: Sequence[Run]) -> Iterator[str]:
  """A line for each run that is not done: which, and why."""
  for run in runs:
    if not run.numbers:
      yield f'{_name(run.choices)}: {run.reason}'


def markdown(
  question: str,
  rows: Sequence[Row],
  missing: Sequence[str],
  apart: Mapping[str, Mapping[str, Difference]],
) -> str:
  """Tables for a page of text."""
  lines = [question, '', *_piped(_lines(rows))]
  if apart:
    lines += [
      '',
      f'Less the first row, seed by seed: mean ± {LEVEL:.0%} interval, bold where it leaves out 0.',
      '',
      *_piped([
        ['', *rows[0].cells],
        *([name, *(f'**{d.text()}**' if d.is_told else d.text() for d in row.values())]
          for name, row in apart.items()),
      ]),
    ]  # fmt: skip
  lines += ['', *(f'- missing: {hole}' for hole in missing)] if missing else []
  return '\n'.join(lines) + '\n'


def comma_separated(rows: Sequence[Row]) -> str:
  """A table for a program: mean, spread and count of each number; empty where there is none."""
  text = io.StringIO()
  out = csv.writer(text, lineterminator='\n')
  axes, read = list(rows[0].choices), list(rows[0].cells)
  out.writerow([*axes, *(f'{n} {part}' for n in read for part in Cell._fields), 'done', 'planned'])
  for row in rows:
    cells = ['' if value is None else value for cell in row.cells.values() for value in cell]
    out.writerow([*row.choices.values(), *cells, row.done, row.planned])
  return text.getvalue()


def latex(question: str, rows: Sequence[Row], missing: Sequence[str]) -> str:
  """A table for a paper (booktabs)."""
  head, *body = _lines(rows, r'$\pm$', '--')
  words = [' & '.join(_escape(text) for text in head), *(' & '.join(_cells(b)) for b in body)]
  return '\n'.join([
    f'% {question}', *(f'% missing: {hole}' for hole in missing),
    r'\begin{tabular}{' + 'l' * len(rows[0].choices) + 'r' * (len(rows[0].cells) + 1) + '}',
    r'\toprule', words[0] + r' \\', r'\midrule', *(w + r' \\' for w in words[1:]), r'\bottomrule',
    r'\end{tabular}', '',
  ])  # fmt: skip


def curves(read: Sequence[str], runs: Sequence[Run]) -> dict[str, str]:
  """A plot for each number of training: its way in every run, a colour for each row."""
  found = [(_name(_without_seed(run)), writers.read_metrics(run.workdir)) for run in runs]
  names = [n for n in read if '/' in n and any(n in row for _, rows in found for row in rows)]
  return {name: plots.compared_curves(found, name) for name in names}


def _cell(values: Sequence[float | None]) -> Cell:
  known = np.array([v for v in values if v is not None], float)
  if not len(known):
    return Cell(None, None, 0)
  spread = float(known.std(ddof=1)) if len(known) > 1 else None
  return Cell(float(known.mean()), spread, len(known))


def _difference(pairs: Sequence[tuple[float | None, float | None]]) -> Difference:
  known = np.array([a - b for a, b in pairs if a is not None and b is not None], float)
  if not len(known):
    return Difference(None, None)
  if len(known) == 1:
    return Difference(float(known[0]), None)
  quantile = stats.t.ppf((1 + LEVEL) / 2, len(known) - 1)
  reach = quantile * known.std(ddof=1) / np.sqrt(len(known))
  return Difference(float(known.mean()), float(reach))


def _groups(runs: Sequence[Run]) -> dict[tuple, list[Run]]:
  """Runs that differ in nothing but the seed."""
  groups: dict[tuple, list[Run]] = {}
  for run in runs:
    groups.setdefault(tuple(_without_seed(run).items()), []).append(run)
  return groups


def _piped(lines: Iterable[Sequence[str]]) -> Iterator[str]:
  for i, line in enumerate(lines):
    yield '| ' + ' | '.join(text.replace('|', r'\|') for text in line) + ' |'
    if i == 0:
      yield '|---' * len(line) + '|'


def _lines(rows: Sequence[Row], plus_minus: str = '±', hole: str = HOLE) -> Iterator[list[str]]:
  yield [*rows[0].choices, *rows[0].cells, 'seeds']
  for row in rows:
    cells = (cell.text(plus_minus, hole) for cell in row.cells.values())
    yield [*row.choices.values(), *cells, row.seeds]


def _cells(line: Sequence[str]) -> list[str]:
  return [text if r'$\pm$' in text else _escape(text) for text in line]


def _escape(text: str) -> str:
  for letter in '\\{}_&%#$':
    text = text.replace(letter, r'\textbackslash ' if letter == '\\' else f'\\{letter}')
  return text


def _without_seed(run: Run) -> dict[str, str]:
  return {axis: value for axis, value in run.choices.items() if axis != SEED}


def _name(choices: Mapping[str, str]) -> str:
  return ' '.join(f'{axis}={value}' for axis, value in choices.items()) or 'the only point'
