"""What `prepare` says about a folder: report.json for programs, a summary for people."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gmtalker_jax.io import files

REPORT = 'report.json'


def make(
  kind: str,
  accepted: list[dict],
  rejected: list[dict],
  problems: list[dict],
  notes: list[str],
) -> dict[str, Any]:
  """The report.

  Args:
    kind: the kind of source.
    accepted: facts per clip (ingest.Ingested.facts) with its `split`.
    rejected: id, code and reason per clip.
    problems: path, code and reason of what is not a clip but should be.
    notes: sentences about the whole.
  """
  errors = [e for clip in accepted if (e := clip['landmark_error']) is not None]
  return {
    'kind': kind,
    'clips': len(accepted) + len(rejected),
    'accepted': accepted,
    'rejected': rejected,
    'problems': problems,
    'notes': notes,
    'seconds': round(sum(clip['seconds'] for clip in accepted), 2),
    'subjects': sorted({clip['subject'] for clip in accepted}),
    'emotions': dict(sorted(Counter(clip['emotion'] or 'unknown' for clip in accepted).items())),
    'splits': dict(Counter(clip['split'] for clip in accepted)),
    'mean_landmark_error': round(float(np.mean(errors)), 5) if errors else None,
  }


def save(report: Mapping[str, Any], folder: Path) -> None:
  """Writes folder/report.json, whole or not at all."""
  files.write_json(folder / REPORT, report)


def summary(report: Mapping[str, Any]) -> str:
  """The report as a table of plain text."""
  accepted, rejected = report['accepted'], report['rejected']
  lines = [
    f'{report["kind"]}: {len(accepted)} of {report["clips"]} clips taken, '
    f'{report["seconds"]:.1f} s, {len(report["subjects"])} people'
  ]
  if report['mean_landmark_error'] is not None:
    error = report['mean_landmark_error']
    lines.append(f'landmark error {error:.2%} of the outer-eye distance on average')
  if accepted:
    splits = ', '.join(f'{count} {name}' for name, count in sorted(report['splits'].items()))
    emotions = ', '.join(f'{count} {name}' for name, count in report['emotions'].items())
    lines.append(f'split: {splits}; emotions: {emotions}')
  lines += ['', *_accepted_table(accepted)] if accepted else []
  if rejected:
    codes = Counter(clip['code'] for clip in rejected)
    lines += ['', 'rejected: ' + ', '.join(f'{n} {code}' for code, n in codes.most_common())]
    lines += _limited([f'  {clip["id"]}: {clip["reason"]}' for clip in rejected])
  if report['problems']:
    lines += ['', 'names that were not understood:']
    lines += _limited([f'  {p["path"]}: {p["reason"]}' for p in report['problems']])
  if report['notes']:
    lines += ['', *(f'note: {note}' for note in report['notes'])]
  return '\n'.join(lines)


def _accepted_table(accepted: list[dict]) -> list[str]:
  width = max(4, *(len(clip['id']) for clip in accepted))
  lines = [f'{"clip":{width}}  {"split":5}  seconds   error     lag  remarks']
  for clip in accepted:
    error = clip['landmark_error']  # none where nothing was tracked
    shown = '' if error is None else f'{error:.2%}'
    lines.append(
      f'{clip["id"]:{width}}  {clip["split"]:5}  {clip["seconds"]:7.2f}  '
      f'{shown:>6}  {clip["audio_lag"]:+.2f} s  {"; ".join(clip["notes"])}'
    )
  return _limited([line.rstrip() for line in lines], 41)


def _limited(lines: list[str], most: int = 40) -> list[str]:
  if len(lines) <= most:
    return lines
  return [*lines[:most], f'  ... and {len(lines) - most} more: see {REPORT}']
