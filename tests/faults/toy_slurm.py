"""`sbatch`, `srun` and `sacct` for a cluster of one machine, as far as submitit calls them.

The name that it is called by says which. sbatch runs its array at once; sacct knows of nothing.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

name, words = Path(sys.argv[0]).name, sys.argv[1:]
if name == 'srun':
  first = next(i for i, word in enumerate(words) if word.endswith('python') or '/python' in word)
  with open(os.environ['TOY_LOG'], 'a') as log:
    sys.exit(subprocess.run(words[first:], stdout=log, stderr=log).returncode)
if name == 'sbatch':
  script = Path(words[-1]).read_text()
  with open(os.environ['TOY_LOG'], 'a') as log:
    log.write(script)
  array = re.search(r'--array=0-(\d+)', script)
  for task in range(int(array[1]) + 1 if array else 1):
    ones = dict.fromkeys(('SLURM_NTASKS', 'SLURM_JOB_NUM_NODES'), '1')
    zeros = dict.fromkeys(('SLURM_PROCID', 'SLURM_LOCALID', 'SLURM_NODEID'), '0')
    env = {**os.environ, **ones, **zeros, 'CUDA_VISIBLE_DEVICES': '3'}
    env |= {'SLURM_JOB_ID': str(70 + task), 'SLURM_JOB_NODELIST': 'localhost'}
    env |= {'SLURM_ARRAY_JOB_ID': '70', 'SLURM_ARRAY_TASK_ID': str(task)} if array else {}
    subprocess.Popen(
      ['bash', words[-1]], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
  sys.stdout.write('Submitted batch job 70\n')
if name == 'sacct':
  sys.stdout.write('JobID|State|NodeList\n')
