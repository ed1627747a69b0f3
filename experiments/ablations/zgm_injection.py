"""Where the latent of the expression generator enters the painter (method 4.2)."""

QUESTION = 'Does the painter need the latent of the expression, and where?'
BASE = {
  'config': 'configs/portrait.py:demo', 'data.records': 'runs/w005',
  'data.expression_workdir': 'builtin', 'steps': 400, 'optimizers.generator.decay_steps': 400,
}  # fmt: skip
GRID = {'seed': (0, 1, 2), 'model.zgm_injection': ('style_concat', 'none', 'input_concat')}
READ = (
  'portrait_psnr_db', 'portrait_lpips', 'portrait_psnr_spread_db', 'identity_similarity',
  'emotion_fer', 'emotion_faceapi',
)  # fmt: skip
