"""The protocol: every metric of the registry on one study. One dictionary comes out."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.evaluation import checks, metrics
from gmtalker_jax.evaluation.metrics.metric import Metric
from gmtalker_jax.evaluation.performers import TALKER
from gmtalker_jax.evaluation.sample import Sample, interval, value
from gmtalker_jax.evaluation.study import Study
from gmtalker_jax.io import judges

# Keys of an evaluation that are no metric's.
ABOUT = ('clips', 'definitions', 'intervals', 'rows', 'by_clip', 'checks', 'protocol')


def evaluate(study: Study, names: Iterable[str] | None = None) -> dict[str, Any]:
  """Measures a talker on the held-out split 'test'.

  Args:
    study: who, on what.
    names: of metrics; None takes all whose inputs the study has.

  Returns:
    Numbers by name with their tables; and ABOUT: how many clips, what each number is, its
    interval over clips, the rows beside the talker's (who -> metric -> number), what each clip
    gave, the sanity checks, and the protocol by which anybody can measure the same again.

  Raises:
    InputError: an unknown name, one whose input is missing, or records that do not fit.
  """
  chosen = _measurable(study) if names is None else _chosen(study, names)
  study.protocol.check_judges(judges.digests())
  clips = study.counts()  # opens the records: what is wrong with them is said before the work
  found: dict[str, Any] = {}
  samples: dict[str, Mapping[str, Sample]] = {}
  for metric in chosen:
    found[metric.name], samples[metric.name] = metric.measure(study)
    found |= {name: make(study) for name, make in metric.tables.items()}
  mine = {m.name: samples[m.name][TALKER] for m in chosen if samples[m.name]}
  about = {
    'clips': clips,
    'definitions': {m.name: m.definition for m in chosen},
    'intervals': {n: interval(s, metrics.METRICS[n].combine) for n, s in mine.items()},
    'rows': _rows(chosen, samples),
    'by_clip': {n: s.saved() for n, s in mine.items()},
    'protocol': dataclasses.asdict(study.resolved()),
    'checks': [check._asdict() for check in checks.run(chosen, samples)],
  }
  return found | about


def _rows(
  chosen: Iterable[Metric], samples: Mapping[str, Mapping[str, Sample]]
) -> dict[str, dict[str, float | None]]:
  """Who -> metric -> number, of the metrics that tell more than the talker's."""
  rows: dict[str, dict[str, float | None]] = {}
  for metric in chosen:
    if len(samples[metric.name]) > 1:
      for who, one in samples[metric.name].items():
        rows.setdefault(who, {})[metric.name] = value(one, metric.combine)
  return rows


def lines(found: Mapping[str, Any]) -> Iterator[str]:
  """The numbers of `evaluate` as a table to be printed."""
  row = '{:28} {:>8} {:17} {:28} {:10} {:6} {}'
  yield row.format('', 'talker', '95 % over clips', 'unit', 'better', 'truth', 'trivial')
  for name, metric in metrics.METRICS.items():
    if found.get(name) is not None:
      better = metric.better
      if not isinstance(better, str):
        better = f'{better[0]} to {better[1]}'
      references = metric.truth_in(found), metric.baselines_in(found)
      shown = found[name], found.get('intervals', {}).get(name)
      yield row.format(name, *_read(*shown), metric.unit, better, *references).rstrip()
  for check in found.get('checks', ()):
    if not check['holds']:
      yield f'CHECK FAILED  {check["metric"]}: {check["sentence"]}'


def _read(number: float, about: Sequence[float] | None) -> tuple[str, str]:
  return f'{number:.3f}', '' if about is None else f'{about[0]:.3f} to {about[1]:.3f}'


def _measurable(study: Study) -> list[Metric]:
  return [metric for metric in metrics.METRICS.values() if metric.is_measurable(study)]


def _chosen(study: Study, names: Iterable[str]) -> list[Metric]:
  chosen = metrics.choose(names)
  for metric in chosen:
    if not metric.is_measurable(study):
      flags = ' or '.join(f'--{name.replace("_", "-")}' for name in metric.needs)
      raise InputError(
        f'got the metric {metric.name!r} without {" or ".join(metric.needs)}, expected a folder of '
        f'records; pass {flags}'
      )
  return chosen
