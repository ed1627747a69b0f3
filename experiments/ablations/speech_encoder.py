"""What the talker hears. Make the records first, of the same films:

gmtalker prepare procedural FILMS --out runs/heard_NAME, with another --encoder each
"""

QUESTION = 'Which speech features carry the mouth?'
BASE = {'config': 'configs/expression.py:builtin'}
GRID = {
  'encoder': {
    'logmel': {'data.records': 'runs/heard_logmel'},
    'logmel+embedding': {'data.records': 'runs/heard_both'},
  },
  'seed': (0, 1, 2),
}
READ = ('test/rec', 'test/rec_free')  # the same units on all: standard deviations of the face
