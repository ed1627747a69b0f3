"""One latent for each four frames of head motion, or one for the clip; the flow hears, or not."""

QUESTION = 'Where does the variety of head motion come from?'
BASE = {'config': 'configs/motion.py:builtin', 'data.records': 'runs/stage'}
GRID = {
  'model.latent_layout': ('sequence', 'vector'),
  'model.flow_audio_cond': (False, True),
  'seed': (0, 1, 2),
}
READ = ('test/log_density', 'motion_diversity_ratio_pose', 'motion_diversity_ratio_blink')
EVALUATE = ('--clips', '24')
