"""Every ablation is a plan: its keys are those of the config, its metrics exist, points differ."""

from pathlib import Path

import pytest

import experiments.ablations
from gmtalker_jax.cli import sweep_plan

FILES = sorted(Path(experiments.ablations.__file__).parent.glob('[a-z]*.py'))


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_every_point_resolves(path, monkeypatch):
  monkeypatch.setattr(sweep_plan, '_fingerprint', lambda key, place: place)  # nothing is there yet
  plan = sweep_plan.read(path)
  assert plan.question.endswith('?')
  assert {point.choices['seed'] for point in plan.points} == {'0', '1', '2'}
  assert len({point.train for point in plan.points}) == len(plan.points) >= 6
