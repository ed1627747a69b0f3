"""One component for each emotion, or a single Gaussian for all.

A single Gaussian leaves no way for the emotion to come in. 'told' gives it one: a conditional VAE,
whose decoder is told the emotion beside z. Only 8 and 1 can be asked: component k is emotion k.
"""

QUESTION = 'Is a mixture better than a single Gaussian at emotions, their blends and the mouth?'
BASE = {
  'config': 'configs/expression.py:builtin', 'data.records': 'runs/seated', 'steps': 800,
  'optimizers.generator.decay_steps': 800, 'loss.cond_steps': 500,
}  # fmt: skip
GRID = {
  'seed': (0, 1, 2),
  'prior': {
    'mixture of 8': {},
    'single Gaussian': {'model.emotions': 1},
    'single Gaussian, told': {'model.emotions': 1, 'model.told': True},
  },
}
READ = (
  'test/rec_free', 'test/rec_sampled', 'emotion_accuracy', 'emotion_accuracy_full',
  'mouth_lmd_ratio', 'eppl', 'epdv', 'knn_purity',
)  # fmt: skip
