"""What each stage learns from: one file a stage, of the stage's name.

Each has `Data`, the keys of `config.data`, and `open_examples(settings, statistics) -> Examples`;
`statistics` are those of the weights that the run begins with, None = those of the records.
"""

import importlib
from types import ModuleType


def of(stage: str) -> ModuleType:
  """The file of a stage."""
  return importlib.import_module(f'{__name__}.{stage}')
