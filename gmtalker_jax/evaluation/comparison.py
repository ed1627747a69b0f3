"""Two evaluations beside each other: is one talker better, on the same clips?

Two intervals that overlap say little; clips that are hard for one are hard for the other. So the
difference is taken clip by clip, and its interval from clips drawn in pairs (`sample.difference`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from gmtalker_jax.evaluation import metrics, sample
from gmtalker_jax.evaluation.sample import Interval, Sample

BETTER, WORSE, OPEN, NEITHER = 'better', 'worse', 'open', ''


class Row(NamedTuple):
  """One number of both."""

  metric: str
  first: float
  second: float
  difference: float  # second - first; over the clips that both have, where clips are known
  interval: Interval | None
  clips: int  # that both have; 0 where the number has none
  verdict: str  # of the second: BETTER, WORSE, OPEN (0 is in the interval), or NEITHER


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Row]:
  """Each metric that both have measured."""
  rows = []
  for name in metrics.METRICS:
    if first.get(name) is not None and second.get(name) is not None:
      rows.append(_row(name, first, second))
  return rows


def _row(name: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> Row:
  metric = metrics.METRICS[name]
  kept = [one.get('by_clip', {}).get(name) for one in (first, second)]
  found, about, clips = None, None, 0
  if all(kept):
    found, about, clips = sample.difference(*(Sample.read(k) for k in kept), metric.combine)
  if found is None:
    found = second[name] - first[name]
  return Row(name, first[name], second[name], found, about, clips, _verdict(metric.better, about))


def _verdict(better: Any, about: Interval | None) -> str:
  if about is None or better not in ('lower', 'higher'):
    return NEITHER
  if about.low <= 0 <= about.high:
    return OPEN
  return BETTER if (about.low > 0) == (better == 'higher') else WORSE


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[str]:
  """What keeps two evaluations from being compared: a line for each, none where nothing does."""
  ours, theirs = first.get('protocol', {}), second.get('protocol', {})
  for role in sorted({*ours.get('clips', {}), *theirs.get('clips', {})}):
    a, b = (set(p.get('clips', {}).get(role, [])) for p in (ours, theirs))
    if a != b:
      yield f'other {role}: {len(a & b)} clips are in both, {len(a - b)} and {len(b - a)} in one'
  for name in ('seeds', 'crop'):
    if ours.get(name) != theirs.get(name):
      yield f'{name}: {ours.get(name)} and {theirs.get(name)}'
  for name in sorted({*ours.get('judges', {}), *theirs.get('judges', {})}):
    if ours.get('judges', {}).get(name) != theirs.get('judges', {}).get(name):
      yield f'the judge {name} is not the same'
  changed = [
    name for name, text in first.get('definitions', {}).items()
    if second.get('definitions', {}).get(name, text) != text
  ]  # fmt: skip
  yield from (f'{name} is defined in another way' for name in changed)


def markdown(rows: Sequence[Row], names: Sequence[str], warnings: Sequence[str]) -> str:
  """A table for a page of text; what failed its checks in either is said below."""
  lines = [f'| | {names[0]} | {names[1]} | difference | 95 % of pairs | clips | {names[1]} is |']
  lines.append('|---' * 7 + '|')
  for row in rows:
    about = '' if row.interval is None else f'{row.interval.low:.3g} to {row.interval.high:.3g}'
    cells = [f'{row.first:.4g}', f'{row.second:.4g}', f'{row.difference:+.3g}', about]
    lines.append('| ' + ' | '.join([row.metric, *cells, str(row.clips or ''), row.verdict]) + ' |')
  return '\n'.join([*lines, *([''] if warnings else []), *(f'- {w}' for w in warnings)]) + '\n'
