"""A process of a toy group: python toy_member.py FOLDER INDEX CODE...; CODE of its Nth start.

A CODE of `kill` kills itself, `wait` waits for SIGTERM and then ends with 75, `later:N` takes a
second to end with N, `save:N` leaves a checkpoint of step N and ends with 78, `hang` never ends.
"""

import os
import signal
import sys
import time
from pathlib import Path

folder, index, codes = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
signal.signal(signal.SIGTERM, lambda *_: os._exit(75))
begun = folder / f'starts-{index}'
number = len(begun.read_text()) if begun.is_file() else 0
begun.write_text('x' * (number + 1))
code = codes[min(number, len(codes) - 1)]
if code == 'kill':
  os.kill(os.getpid(), signal.SIGKILL)
while code in ('wait', 'hang'):
  if code == 'hang':
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
  time.sleep(0.05)
if code.startswith('later:'):
  time.sleep(1)
  (folder / f'later-{index}').touch()
  sys.exit(int(code.removeprefix('later:')))
if code.startswith('save:'):
  (folder / 'checkpoints' / code.removeprefix('save:')).mkdir(parents=True)
  sys.exit(78)
sys.exit(int(code))
