"""Twenty builds, one corpus: other threads, cores, order and compiled code, and the same bytes.

`make prove` runs it in one process after tests of the face and of the photographer. A build that
differs is named with the stage at fault; see corpus_test.layers.
"""

import contextlib
import itertools
import os
import subprocess
import sys

import jax
import pytest
from corpus_test import TINY, layers

from data_pipelines.procedural import corpus

BUILDS = 20
ARGUMENTS = TINY | {'stage_clips': 4}


@contextlib.contextmanager
def _busy_neighbour():
  """Keeps one core busy."""
  process = subprocess.Popen([sys.executable, '-c', 'while True: pass'])
  try:
    yield
  finally:
    process.kill()
    process.wait()


@contextlib.contextmanager
def _cores(count: int | None):
  """Lets the threads that start inside run on `count` cores only."""
  all_cores = os.sched_getaffinity(0)
  os.sched_setaffinity(0, set(sorted(all_cores)[:count]))
  try:
    yield
  finally:
    os.sched_setaffinity(0, all_cores)


@pytest.mark.prove
@pytest.mark.timeout(3 * 3600)
def test_every_build_is_the_same(tmp_path, monkeypatch):
  plan, switch = corpus.plan, sys.getswitchinterval()
  conditions = itertools.product((2, 1, 8), (None, 1), (1, -1), (False, True))
  first, differ = None, {}
  try:
    with _busy_neighbour():
      for number, (threads, cores, order, forget) in zip(
        range(BUILDS), itertools.cycle(conditions), strict=False
      ):
        monkeypatch.setattr(corpus.os, 'cpu_count', lambda n=threads: n)
        monkeypatch.setattr(corpus, 'plan', lambda o=order, **k: _short(plan(**k))[::o])
        sys.setswitchinterval(1e-5 if forget else switch)
        if forget:
          jax.clear_caches()
        out = tmp_path / str(number)
        with _cores(cores):
          corpus.build(out, **ARGUMENTS, progress=False)
        made = {p.name: layers(p) for p in sorted(out.rglob('*.npz'))}
        first = first or made
        assert made.keys() == first.keys()
        wrong = [(c, k) for c in made for k in made[c] if made[c][k] != first[c][k]]
        if wrong:
          differ[number, threads, cores, order, forget] = wrong
        print(f'build {number}: {threads=} {cores=} {order=} {forget=} wrong={wrong}')  # noqa: T201
  finally:
    sys.setswitchinterval(switch)
  assert len(first) == ARGUMENTS['stage_clips']
  assert not differ


def _short(clips: list[corpus.Clip]) -> list[corpus.Clip]:
  return [clip._replace(text=' '.join(clip.text.split()[:4])) for clip in clips]
