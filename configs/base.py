"""The keys that every stage shares. Run one of the three columns, not this file.

    gmtalker train --config=configs/expression.py --workdir=DIR --config.data.records=RECORDS

A variant follows the name: `configs/expression.py:demo`. Variants: '' (the method's defaults, for
an accelerator), 'builtin' (as the shipped talker was trained: the demo, longer and larger), 'demo'
(minutes on two cores), 'smoke' (seconds, for tests).
"""

from collections.abc import Callable

from ml_collections import config_dict

# variant -> the changes that make it, one on the other
VARIANTS = {'': (), 'builtin': ('demo', 'builtin'), 'demo': ('demo',), 'smoke': ('demo', 'smoke')}


def get_config(variant: str = '') -> config_dict.ConfigDict:
  """Shared keys; `records` and the stage's own keys are filled in by its file."""
  check(variant)
  config = config_dict.ConfigDict()
  config.stage = ''
  config.init_from = ''  # begin with the weights of a talker ('builtin', DIR) or of a workdir
  config.seed = 0
  config.mode = 'jit'  # jit | pmap: one program, or one per device with averaged gradients
  config.mesh = 'all'  # devices, DATA or DATAxFSDP (8, 4x2, 1xall): FSDP of them share one state
  config.copied = ''  # of a shared state what each has whole, by parts of paths: 'decoder.norm,b'
  config.remat = ''  # block | layer: what is kept for the backward pass, the rest is made again
  config.accumulate = 1  # parts of a batch, one after the other: less memory, the same step
  config.steps = 100_000
  config.ema_decay = 0.999  # of the weights that are served
  config.save_every = 2_000  # steps
  config.keep = 3  # checkpoints
  config.keep_every = 0  # steps; checkpoints at their multiples are kept for ever, 0 = none
  config.log_every = 100  # steps

  config.data = config_dict.ConfigDict()
  config.data.records = 'data'  # what `gmtalker prepare` or `gmtalker corpus` wrote
  config.data.batch_size = 64  # over all devices
  config.data.balanced = True  # emotions get equal shares (method 2.5)
  config.data.cache_mb = 1_024  # records kept in memory, at most so many megabytes
  config.data.verify = True  # compare the digest of each shard at the start

  config.evaluation = config_dict.ConfigDict()
  config.evaluation.every = 5_000  # steps
  config.evaluation.batches = 16  # of the test split; 0 = all

  # What a run bears. A step that gives anything not finite is not applied; then, in this order:
  config.faults = config_dict.ConfigDict()
  config.faults.skips = 5  # such steps in a row, before the run goes back to its newest checkpoint
  config.faults.rollbacks = 2  # times that it goes back and leaves those data out; then it stops

  config.faults.bad_share = 1e-3  # of the training clips that may be unreadable; the next is taken
  config.faults.watchdog_s = 1_800.0  # seconds without a step that end the process; 0 = none

  config.model = config_dict.ConfigDict()
  config.loss = config_dict.ConfigDict()
  config.optimizers = config_dict.ConfigDict()
  return config


def vary(
  config: config_dict.ConfigDict, variant: str, **changes: Callable[[config_dict.ConfigDict], None]
) -> config_dict.ConfigDict:
  """Turns the method's defaults into a variant: what all stages change, then what this one does."""
  for name in VARIANTS[variant]:
    _SHARED[name](config)
    changes[name](config)
  return config


def _demo(config):
  config.ema_decay = 0.99
  config.log_every = 25
  config.evaluation.batches = 4


def _builtin(config):
  config.ema_decay = 0.995


def _smoke(config):
  config.steps = 4
  config.save_every = 2
  config.log_every = 1
  config.data.batch_size = 8
  config.evaluation.update(every=0, batches=1)


_SHARED = {'demo': _demo, 'builtin': _builtin, 'smoke': _smoke}


def check(variant: str) -> None:
  """Raises ValueError for a variant that does not exist."""
  if variant not in VARIANTS:
    raise ValueError(f'got variant {variant!r}, expected one of {list(VARIANTS)}, e.g. :demo')


def emotional(config: config_dict.ConfigDict) -> None:
  """Adds what a stage needs to know that looks at the emotion of a clip (data/emotion.py)."""
  config.data.soft_levels = True  # levels 1, 2, 3 are 1/3, 2/3, 1 of an emotion (method 2.7)
  config.data.unknown_emotion = 0.3  # of an unlabelled clip: from Dirichlet(this); 0 = no weights


def adam(rate: float, **numbers) -> config_dict.ConfigDict:
  """One network's optimizer, see gmtalker_jax/train/optimizers.py."""
  defaults = {
    'rate': rate,
    'b1': 0.9,
    'b2': 0.999,
    'eps': 1e-8,
    'weight_decay': 0.0,
    'clip': 1.0,  # largest global norm of the gradient; 0 = any
    'warmup': 1_000,  # steps
    'schedule': 'cosine',  # constant | cosine | exponential
    'decay_steps': 100_000,  # steps to `final` (cosine), or per factor `decay` (exponential)
    'decay': 0.1,
    'final': 0.05,  # share of `rate` at the end of the cosine
    'frozen': '',  # parameters that stay as they are, by the beginnings of their names: 'a,b.c'
  }
  return config_dict.ConfigDict({**defaults, **numbers})
