"""How many couplings the prior of head motion has; with none it is a Gaussian."""

QUESTION = 'Do more couplings make heads move more like those of people?'
BASE = {'config': 'configs/motion.py:builtin', 'data.records': 'runs/stage'}
GRID = {'model.flow_steps': (0, 1, 2, 4, 8), 'seed': (0, 1, 2)}
READ = ('test/log_density', 'test/rec_free', 'motion_diversity_ratio')
EVALUATE = ('--clips', '24')
