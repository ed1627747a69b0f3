"""`configs` and `data_pipelines`: at the repository's root, and inside the package in a wheel.

Files in the two import each other relatively, so they do not know which of the two it is. Nobody
else does either: whoever needs one of them asks here.
"""

import importlib
import importlib.util
from importlib.machinery import SourceFileLoader
from types import ModuleType


def module(name: str) -> ModuleType:
  """Imports `name`, e.g. 'data_pipelines.prepare', from where it is in this installation."""
  folder = name.split('.')[0]
  inside = importlib.util.find_spec(f'gmtalker_jax.{folder}') is not None
  return importlib.import_module(f'gmtalker_jax.{name}' if inside else name)


def config_module(path: str) -> ModuleType:
  """Runs a config file; in it, `from . import base` is the shipped configs/base.py."""
  name = f'{module("configs").__name__}._given'
  loader = SourceFileLoader(name, path)
  spec = importlib.util.spec_from_loader(name, loader)
  assert spec is not None, 'there is always one of a loader that is given'
  given = importlib.util.module_from_spec(spec)
  loader.exec_module(given)
  return given
