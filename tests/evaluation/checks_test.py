"""The checks must see a metric that is wrong: here are some that are."""

import pytest

from gmtalker_jax.evaluation import checks, metrics
from gmtalker_jax.evaluation.sample import Sample

MOUTH = metrics.METRICS['mouth_lmd']
ROWS = {
  'talker': 1.0, 'talker, shuffled sound': 2.0, 'mean face': 3.0, 'truth': 0.0,
  'truth, 0.2 s late': 1.5, 'noise': 9.0,
}  # fmt: skip


def _run(rows, metric=MOUTH):
  samples = {metric.name: {who: Sample.of(['c'], [number]) for who, number in rows.items()}}
  return {check.sentence: check.holds for check in checks.run([metric], samples)}


def test_a_right_metric_passes_all():
  found = _run(ROWS)
  assert all(found.values())
  assert len(found) == 5


@pytest.mark.parametrize(
  ('wrong', 'said'),
  [
    ({'truth': 0.1}, 'the truth scores 0: 0.1'),
    ({'mean face': -0.2}, 'nobody is better than the truth'),
    ({'truth, 0.2 s late': 0.0}, 'truth, 0.2 s late: worse than the truth (0)'),
    ({'talker, shuffled sound': 0.9}, 'talker, shuffled sound: worse than with its own (0.9)'),
    ({'mean face': 10.0}, 'noise is the worst'),
  ],
)
def test_a_wrong_one_is_named(wrong, said):
  found = _run(ROWS | wrong)
  assert not found[said]
  assert sum(not holds for holds in found.values()) <= 2  # a truth that is wrong is beaten, too


def test_higher_is_better_turns_the_order():
  ssim = metrics.METRICS['portrait_ssim']
  right = {'talker': 0.9, 'truth': 1.0, 'truth, blurred': 0.8, 'noise': 0.01}
  assert all(_run(right, ssim).values())
  assert not all(_run(right | {'truth, blurred': 1.0}, ssim).values())
  assert all(_run(right | {'plain rendering': 0.001}, ssim).values())  # on black
  assert not all(_run(right | {'noise': 0.85}, ssim).values())
