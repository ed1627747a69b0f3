"""Head motion learnt from nothing, or begun with the weights of the built-in talker."""

QUESTION = 'Is head motion better when it begins with weights of other people?'
BASE = {'config': 'configs/motion.py:builtin', 'data.records': 'runs/stage', 'steps': 500}
GRID = {
  'begun with': {'nothing': {}, 'the built-in talker': {'init_from': 'builtin'}},
  'seed': (0, 1, 2),
}
READ = ('test/rec_free', 'test/log_density', 'test/diversity')
