"""One component for each emotion, or a single Gaussian for all.

Only 8 and 1 can be asked: component k is emotion k. Records as for the built-in talker, see
experiments/README.md. Hours: not measured; about half an hour a point on two quiet cores.
"""

QUESTION = 'Is a mixture better than a single Gaussian at emotions and at the mouth?'
BASE = {'config': 'configs/expression.py:builtin', 'data.records': 'runs/seated'}
GRID = {
  'prior': {'mixture of 8': {'model.emotions': 8}, 'single Gaussian': {'model.emotions': 1}},
  'seed': (0, 1, 2),
}
READ = ('test/rec', 'emotion_accuracy', 'emotion_accuracy_full', 'mouth_lmd_ratio')
