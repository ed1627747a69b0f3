"""How labels reach the mixture: as they are, not at all, or as a cross-entropy (method 2.4)."""

QUESTION = 'Do labels have to be given to the mixture, or does it find the emotions?'
BASE = {'config': 'configs/expression.py:builtin', 'data.records': 'runs/seated'}
GRID = {'loss.label_mode': ('label', 'posterior', 'semi'), 'seed': (0, 1, 2)}
READ = ('test/rec', 'test/responsibility_accuracy', 'emotion_accuracy', 'knn_purity')
