"""Real processes that end in every way: which are started again, and how often."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import steps
from gmtalker_jax.train import supervisor

MEMBER = Path(__file__).with_name('toy_member.py')


def run(folder, *members, restarts=3, grace=0.5):
  """Supervises one process for each list of codes."""

  def start():
    return [
      subprocess.Popen([sys.executable, '-S', str(MEMBER), str(folder), str(i), *codes])
      for i, codes in enumerate(members)
    ]

  newest = lambda: max(steps.find(folder / 'checkpoints'), default=0)  # noqa: E731
  return supervisor.supervise(start, restarts, newest, grace)


def starts(folder, index=0):
  return len((folder / f'starts-{index}').read_text())


def test_a_group_that_is_done_is_not_started_again(tmp_path):
  assert run(tmp_path, ['0'], ['0']) == 0
  assert starts(tmp_path, 0) == starts(tmp_path, 1) == 1


@pytest.mark.parametrize('code', ['77', '78', 'kill'])
def test_who_is_lost_is_named_and_all_start_again(code, tmp_path, capfd):
  """The other one waits for it in vain, and is ended."""
  assert run(tmp_path, ['hang', '0'], [code, '0']) == 0
  assert 'launch: process 1 ' in capfd.readouterr().err
  assert starts(tmp_path, 0) == starts(tmp_path, 1) == 2


@pytest.mark.parametrize('code', ['75', '76'])
def test_who_was_stopped_is_not_hurried(code, tmp_path):
  """All save the same step then; it takes longer than the grace for a lost one."""
  begun = time.monotonic()
  assert run(tmp_path, ['later:75', '0'], [code, '0'], grace=0.0) == 0
  assert time.monotonic() - begun > 1
  assert (tmp_path / 'later-0').is_file()


@pytest.mark.parametrize('code', ['1', '2'])
def test_what_failed_would_fail_again(code, tmp_path):
  assert run(tmp_path, [code], ['hang']) == int(code)
  assert starts(tmp_path) == 1


def test_the_budget_ends(tmp_path, capfd):
  assert run(tmp_path, ['kill'], restarts=2) == supervisor.KILLED
  assert starts(tmp_path) == 3
  said = capfd.readouterr().err
  assert 'process 0 was killed by SIGKILL; all start again from step 0 (1 of 2 ' in said
  assert '2 restarts brought no newer checkpoint than step 0' in said


def test_a_newer_checkpoint_fills_the_budget_again(tmp_path):
  assert run(tmp_path, ['kill', 'save:2', 'save:4', '0'], restarts=1) == 0
  assert starts(tmp_path) == 4


@pytest.mark.parametrize(
  ('does', 'signals', 'code'), [('wait', 1, 75), ('hang', 2, supervisor.KILLED)]
)
def test_sigterm_is_passed_on_and_nothing_starts_again(does, signals, code, tmp_path):
  def stop():
    while not (tmp_path / 'starts-1').is_file():
      time.sleep(0.02)
    for _ in range(signals):  # a second one is for those that do not listen
      time.sleep(0.3)
      os.kill(os.getpid(), signal.SIGTERM)

  threading.Thread(target=stop).start()
  assert run(tmp_path, [does], [does]) == code
  assert starts(tmp_path) == 1


def test_a_second_launch_waits_until_the_last_process_of_the_first_is_gone(tmp_path):
  with supervisor.claimed(tmp_path) as lock:
    heir = subprocess.Popen(['sleep', '60'], pass_fds=[lock])
  with pytest.raises(InputError, match='another launch'), supervisor.claimed(tmp_path):
    pass
  heir.kill()
  heir.wait()
  with supervisor.claimed(tmp_path):
    pass
