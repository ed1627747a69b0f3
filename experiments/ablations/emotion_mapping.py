"""EMN in the painter, or the public mapping network, which is told no emotion (method 4.2)."""

QUESTION = 'Does a painter that is told the emotion paint it better than the rendering alone says?'
BASE = {
  'config': 'configs/portrait.py:builtin',
  'data.records': 'runs/w005',
  'data.expression_workdir': 'runs/expression',
  'model.zgm_injection': 'none',
}
GRID = {'model.style_mapping': ('emotion', 'plain'), 'seed': (0, 1, 2)}
READ = ('portrait_psnr_db', 'portrait_lpips', 'emotion_fer', 'emotion_faceapi')
