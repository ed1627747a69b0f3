"""EMN in the painter, or the public mapping network, which is told no emotion (method 4.2)."""

QUESTION = 'Does a painter that is told the emotion paint it better than the rendering alone says?'
BASE = {
  'config': 'configs/portrait.py:demo', 'data.records': 'runs/w005',
  'data.expression_workdir': 'builtin', 'model.zgm_injection': 'none', 'steps': 400,
  'optimizers.generator.decay_steps': 400,
}  # fmt: skip
GRID = {'seed': (0, 1, 2), 'model.style_mapping': ('emotion', 'plain')}
READ = (
  'portrait_psnr_db', 'portrait_lpips', 'identity_similarity', 'emotion_fer', 'emotion_faceapi',
)  # fmt: skip
