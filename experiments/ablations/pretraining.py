"""Head motion of a few people learnt from nothing, or begun with weights learnt from others.

The built-in talker's motion generator has learnt from sixteen people on the corpus' stage; these
are four that it never saw. Make their records first:

python -m experiments.performances --out runs/newcomers --people 4 --sentences 8 --stage --seed 7
"""

QUESTION = 'Is head motion better when it begins with weights of other people?'
BASE = {
  'config': 'configs/motion.py:builtin', 'data.records': 'runs/newcomers', 'steps': 300,
  'optimizers.generator.decay_steps': 300, 'loss.kl_steps': 150,
}  # fmt: skip
GRID = {
  'seed': (0, 1, 2),
  'begun with': {'nothing': {}, 'the built-in talker': {'init_from': 'builtin'}},
}
READ = ('test/log_density', 'test/rec_free', 'motion_diversity_ratio', 'blink_rate')
