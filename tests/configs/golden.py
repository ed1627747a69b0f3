"""Writes golden.json anew: every number of every config. Look at the difference before you commit.

python -m tests.configs.golden
"""

import importlib
import json
from pathlib import Path

from configs import base
from gmtalker_jax.stages import STAGES
from gmtalker_jax.train import run

if __name__ == '__main__':
  found = {
    f'{name}:{variant}': run._plain(importlib.import_module(f'configs.{name}').get_config(variant))
    for name in STAGES
    for variant in base.VARIANTS
  }
  text = json.dumps(found, indent=1, sort_keys=True) + '\n'
  Path(__file__).with_name('golden.json').write_text(text)
