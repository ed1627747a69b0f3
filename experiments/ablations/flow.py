"""A flow, a Gaussian or no latent at all behind head motion: no coupling is a Gaussian prior."""

QUESTION = 'Do couplings make heads move more like those of people?'
BASE = {
  'config': 'configs/motion.py:builtin', 'data.records': 'runs/stage', 'steps': 1000,
  'optimizers.generator.decay_steps': 1000, 'loss.kl_steps': 500,
}  # fmt: skip
GRID = {
  'seed': (0, 1, 2),
  'prior': {
    'flow of 4 couplings': {'model.flow_steps': 4},
    'Gaussian': {'model.flow_steps': 0},
    'no latent': {'model.latent_layout': 'none'},
  },
}
READ = (
  'test/log_density', 'test/rec_free', 'motion_diversity_ratio', 'motion_diversity_ratio_pose',
  'motion_diversity_ratio_blink', 'motion_diversity_ratio_gaze', 'blink_rate', 'beat_alignment',
)  # fmt: skip
EVALUATE = ('--clips', '24')
