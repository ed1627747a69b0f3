"""The table of keys in docs/method.md: each key exists, takes its value, and its test uses it."""

import importlib
import re
from pathlib import Path

import pytest

from gmtalker_jax.train import run

ROOT = Path(__file__).parents[1]
TABLE = re.compile(
  r'^\| [\d.]+ \| [^|]+ \| `(\w+)\.([\w.]+)=([\w.]+)` \| `(\S+?)::(\w+)` \|$', re.M
)
SECTION = (ROOT / 'docs' / 'method.md').read_text().split('## 10 Keys')[1].split('\n## ')[0]
ROWS = TABLE.findall(SECTION)


def test_no_row_is_overlooked():
  assert len(ROWS) == SECTION.count('\n| ') - 1 > 30  # without the heading


@pytest.mark.parametrize(('stage', 'key', 'value', 'file', 'test'), ROWS)
def test_a_key_exists_and_its_test_uses_it(stage, key, value, file, test):
  config = run._plain(importlib.import_module(f'configs.{stage}').get_config())
  *parents, leaf = key.split('.')
  section = config
  for parent in parents:
    section = section[parent]
  kind = type(section[leaf])  # KeyError: no such key
  section[leaf] = value == 'True' if kind is bool else kind(value)
  run.read(config)  # InputError: no such value
  text = (ROOT / file).read_text()
  assert f'def {test}(' in text
  assert any(re.search(rf'\b{word}\b', text) for word in (leaf, *ALIASES.get(leaf, ())))


# What a test calls a key that it sets through the function that the key is for.
ALIASES = {
  'balanced': ('groups',),
  'output_size': ('sizes',),
  'ema_decay': ('ema',),
  'uniform_free_bits': ('free_bits',),
  'scheduled_sampling': ('own',),
}
