"""How many people and sentences are enough. Make the records first:

python -m experiments.performances --out runs/people_N --people N --sentences 5
"""

QUESTION = 'How does the mouth get better with more people?'
BASE = {'config': 'configs/expression.py:builtin'}
GRID = {
  'people': {str(n): {'data.records': f'runs/people_{n}'} for n in (2, 5, 10, 20)},
  'seed': (0, 1, 2),
}
READ = ('mouth_lmd_ratio', 'emotion_accuracy')
EVALUATE = ('--records', 'runs/people_20')  # the same held-out clips for all
