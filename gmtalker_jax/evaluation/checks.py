"""Does the measuring itself come out right? What must hold whatever the talker is.

A metric that has rows (`performers.py`, `shots.py`) must find the truth perfect, nobody better than
the truth, a late or blurred truth worse, and noise the worst of all. The wrong sound must make a
talker worse; if it does not, the talker does not listen, or the clips are not what they seem.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from gmtalker_jax.evaluation import performers, shots
from gmtalker_jax.evaluation.metrics.metric import Metric
from gmtalker_jax.evaluation.sample import value

_EXACT = 1e-4  # of the truth's own score


class Check(NamedTuple):
  """One sentence, and whether it holds."""

  metric: str
  sentence: str
  holds: bool


def run(metrics: Sequence[Metric], samples: Mapping[str, Mapping[str, Any]]) -> list[Check]:
  """All checks of these metrics; `samples` by metric and by who."""
  found = []
  for metric in metrics:
    rows = {who: value(s, metric.combine) for who, s in samples.get(metric.name, {}).items()}
    known = {who: number for who, number in rows.items() if number is not None}
    found += [Check(metric.name, *said) for said in _said(metric, known)]
  return found


def _said(metric: Metric, rows: Mapping[str, float]) -> Iterator[tuple[str, bool]]:
  truth = rows.get(performers.TRUTH)
  if truth is None or metric.better not in ('lower', 'higher'):
    return
  sign = 1 if metric.better == 'higher' else -1

  def worse(a: str, b: str) -> bool:
    return sign * rows[a] < sign * rows[b]

  if isinstance(metric.truth, (int, float)):
    exact = abs(truth - metric.truth) <= _EXACT * max(1.0, abs(metric.truth))
    yield f'the truth scores {metric.truth:g}: {truth:.4g}', exact
    best = all(sign * number <= sign * truth + _EXACT for number in rows.values())
    yield 'nobody is better than the truth', best
  for who in (performers.LATE, shots.BLURRED):
    if who in rows and isinstance(metric.truth, (int, float)):
      yield f'{who}: worse than the truth ({rows[who]:.4g})', worse(who, performers.TRUTH)
  if performers.SHUFFLED in rows and metric.hears:
    sentence = f'{performers.SHUFFLED}: worse than with its own ({rows[performers.SHUFFLED]:.4g})'
    yield sentence, worse(performers.SHUFFLED, performers.TALKER)
  if performers.NOISE in rows:
    # A rendering lies on black, which may be farther from a photograph than noise is.
    others = [who for who in rows if who not in (performers.NOISE, shots.RENDERING)]
    # A share may be 0 for others, too: a face that never moves closes no lips.
    if (metric.hears and metric.better == 'lower') or shots.BLURRED in rows:
      yield 'noise is the worst', all(worse(performers.NOISE, who) for who in others)
    else:
      yield 'noise is worse than the truth', worse(performers.NOISE, performers.TRUTH)
