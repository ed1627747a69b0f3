"""A flow, a Gaussian or no latent at all behind head motion: no coupling is a Gaussian prior."""

QUESTION = 'Do more couplings make heads move more like those of people?'
BASE = {'config': 'configs/motion.py:builtin', 'data.records': 'runs/stage'}
GRID = {
  'prior': {
    'no latent': {'model.latent_layout': 'none'},
    **{f'{n} couplings': {'model.flow_steps': n} for n in (0, 1, 2, 4, 8)},
  },
  'seed': (0, 1, 2),
}
READ = ('test/log_density', 'test/rec_free', 'motion_diversity_ratio')
EVALUATE = ('--clips', '24')
