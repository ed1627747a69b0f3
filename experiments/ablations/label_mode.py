"""How labels reach the mixture: as they are, not at all, or as a cross-entropy (method 2.4)."""

QUESTION = 'Do labels have to be given to the mixture, or does it find the emotions?'
BASE = {
  'config': 'configs/expression.py:builtin', 'data.records': 'runs/seated', 'steps': 800,
  'optimizers.generator.decay_steps': 800, 'loss.cond_steps': 500,
}  # fmt: skip
GRID = {'seed': (0, 1, 2), 'loss.label_mode': ('label', 'posterior', 'semi')}
READ = (
  'test/rec_free', 'test/rec_sampled', 'test/responsibility_accuracy', 'emotion_accuracy',
  'knn_purity',
)  # fmt: skip
