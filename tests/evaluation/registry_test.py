import pytest

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.evaluation import metrics, protocol


@pytest.mark.parametrize('name', metrics.METRICS)
def test_an_entry_says_all_that_one_must_know_to_read_its_number(name):
  metric = metrics.METRICS[name]
  assert metric.name == name
  assert metric.unit
  assert metric.definition
  assert metric.better in ('lower', 'higher') or metric.better[0] < metric.better[1]
  assert (metric.compute is None) != (metric.samples is None)
  references = [*metric.baselines.values(), *([] if metric.truth is None else [metric.truth])]
  assert all(not isinstance(r, str) or r in metrics.METRICS for r in references)


def test_no_name_is_taken_twice():
  names = [m.name for theme in metrics.THEMES for m in theme.METRICS]
  names += [table for theme in metrics.THEMES for m in theme.METRICS for table in m.tables]
  assert len(names) == len({*names, *protocol.ABOUT}) - len(protocol.ABOUT)


def test_an_unknown_name_is_refused_with_the_nearest():
  with pytest.raises(InputError, match=r"'mouth_lmd_ration'.*did you mean 'mouth_lmd_ratio'"):
    metrics.choose(['knn_purity', 'mouth_lmd_ration'])


def test_metrics_are_chosen_in_the_order_asked_for_and_once():
  chosen = metrics.choose(['knn_purity', 'eppl', 'knn_purity'])
  assert [metric.name for metric in chosen] == ['knn_purity', 'eppl']
