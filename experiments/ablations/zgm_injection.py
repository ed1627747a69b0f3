"""Where the latent of the expression generator enters the painter (method 4.2)."""

QUESTION = 'Does the painter need the latent of the expression, and where?'
BASE = {
  'config': 'configs/portrait.py:builtin',
  'data.records': 'runs/w005',
  'data.expression_workdir': 'runs/expression',
}
GRID = {'model.zgm_injection': ('style_concat', 'none', 'input_concat'), 'seed': (0, 1, 2)}
READ = ('portrait_psnr_db', 'portrait_lpips', 'portrait_psnr_spread_db', 'emotion_faceapi')
