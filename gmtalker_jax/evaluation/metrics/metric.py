"""What a metric is: a number of a study, and all that one must know to read it."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

from gmtalker_jax.evaluation import sample
from gmtalker_jax.evaluation.sample import Combine, Sample
from gmtalker_jax.evaluation.study import Study

Reference = float | str  # a number, or the name of the metric that measures it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
  """One entry of the registry.

  Attributes:
    name: key in metrics.json.
    compute: the number, or None where these clips do not define it; left out with `samples`.
    samples: by who does it ('talker' and the rows beside it) a row of values for each clip, of
      which the number and its interval are made; None where the clips do not define it.
    combine: makes the number of a mean row.
    hears: it asks whether the face fits the sound, so the wrong sound must make it worse.
    unit: of the number.
    definition: in words, so that someone else would measure the same.
    better: 'lower', 'higher', or the range (low, high) in which it should lie.
    truth: what the recorded performances themselves score; None = unknown or meaningless.
    baselines: what trivial talkers score, by what they do.
    needs: fields of `Study`; where none of them is given the metric is left out.
    tables: what is written beside the number: name -> anything that JSON can hold.
  """

  name: str
  compute: Callable[[Study], float | None] | None = None
  samples: Callable[[Study], Mapping[str, Sample] | None] | None = None
  combine: Combine = sample.first
  hears: bool = False
  unit: str
  definition: str
  better: Literal['lower', 'higher'] | tuple[float, float]
  truth: Reference | None = None
  baselines: Mapping[str, Reference] = dataclasses.field(default_factory=dict)
  needs: tuple[Literal['records', 'portrait_records'], ...] = ('records',)
  tables: Mapping[str, Callable[[Study], Any]] = dataclasses.field(default_factory=dict)

  def measure(self, study: Study) -> tuple[float | None, Mapping[str, Sample]]:
    """The talker's number, and the samples of everybody where there are any."""
    if self.samples is not None:
      found = self.samples(study) or {}
      return sample.value(found['talker'], self.combine) if found else None, found
    assert self.compute is not None, f'{self.name} has neither compute nor samples'
    number = self.compute(study)
    return None if number is None else float(number), {}

  def is_measurable(self, study: Study) -> bool:
    """Whether the study has what the metric needs."""
    return any(getattr(study, name) is not None for name in self.needs)

  def truth_in(self, found: Mapping[str, Any]) -> str:
    """The truth's score among the numbers `found`, to be read; '' where there is none."""
    measured = found.get('rows', {}).get('truth', {}).get(self.name)
    return _shown(measured if self.truth is None else self.truth, found)

  def baselines_in(self, found: Mapping[str, Any]) -> str:
    """The trivial scores among the numbers `found`, to be read."""
    scores = ((who, _shown(score, found)) for who, score in self.baselines.items())
    return ', '.join(f'{who} {score}' for who, score in scores if score)


def _shown(reference: Reference | None, found: Mapping[str, Any]) -> str:
  """A number in three digits, '' for none; what nobody asked to measure stays a name."""
  value = found.get(reference, reference) if isinstance(reference, str) else reference
  return '' if value is None else value if isinstance(value, str) else f'{value:.3g}'
