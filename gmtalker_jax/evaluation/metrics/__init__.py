"""The registry of metrics, by name.

To add a metric, append one `Metric(...)` to the METRICS of the theme file that it belongs to: it
is then measured, written, defined and printed by `gmtalker evaluate`.
"""

from collections.abc import Iterable

from gmtalker_jax.core.errors import check_choice
from gmtalker_jax.evaluation.metrics import (
  beats,
  blinks,
  emotion,
  frechet,
  latent,
  likely,
  motion,
  mouth,
  painting,
  pixels,
  placement,
  portrait,
  seen,
  sync,
)
from gmtalker_jax.evaluation.metrics.metric import Metric

THEMES = (
  mouth, sync, pixels, emotion, motion, blinks, beats, portrait, frechet, painting, placement, seen,
  latent, likely,
)  # fmt: skip
METRICS: dict[str, Metric] = {m.name: m for theme in THEMES for m in theme.METRICS}


def choose(names: Iterable[str]) -> list[Metric]:
  """The metrics of these names. Raises InputError for a name that no metric has."""
  names = list(dict.fromkeys(names))
  for name in names:
    check_choice('the metric', name, METRICS)
  return [METRICS[name] for name in names]
