"""The protocol: every metric of the registry on one study. One dictionary comes out."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.evaluation import metrics
from gmtalker_jax.evaluation.metrics.metric import Metric
from gmtalker_jax.evaluation.study import Study


def evaluate(study: Study, names: Iterable[str] | None = None) -> dict[str, Any]:
  """Measures a talker on the held-out split 'test'.

  Args:
    study: who, on what.
    names: of metrics; None takes all whose inputs the study has.

  Returns:
    Numbers by name with their tables, 'clips' (how many) and 'definitions' (of these numbers).

  Raises:
    InputError: an unknown name, one whose input is missing, or records that do not fit.
  """
  chosen = _measurable(study) if names is None else _chosen(study, names)
  clips = study.counts()  # opens the records: what is wrong with them is said before the work
  found: dict[str, Any] = {}
  for metric in chosen:
    value = metric.compute(study)
    found[metric.name] = None if value is None else float(value)
    found |= {name: make(study) for name, make in metric.tables.items()}
  return found | {'clips': clips, 'definitions': {m.name: m.definition for m in chosen}}


def lines(found: Mapping[str, Any]) -> Iterator[str]:
  """The numbers of `evaluate` as a table to be printed."""
  row = '{:28} {:>8}  {:28} {:10} {:6} {}'
  yield row.format('', 'talker', 'unit', 'better', 'truth', 'trivial')
  for name, metric in metrics.METRICS.items():
    if found.get(name) is not None:
      better = metric.better
      if not isinstance(better, str):
        better = f'{better[0]} to {better[1]}'
      references = metric.truth_in(found), metric.baselines_in(found)
      yield row.format(name, f'{found[name]:.3f}', metric.unit, better, *references).rstrip()


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
