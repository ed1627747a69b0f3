"""Where the time of a run went, from what it left on disk: nothing else is asked."""

from pathlib import Path
from typing import NamedTuple

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.io import writers


class Goodput(NamedTuple):
  """Seconds of a run from its first start to its last sign; all but the first two add up to `all`.

  A step's time counts for `steps` only if the step was never made again, and without what it
  waited for data or a save.
  """

  all: float
  sessions: int  # how often it was started
  steps: float
  data_wait: float
  checkpoint: float  # in which the loop was blocked by a save
  compile: float  # the first step of each session
  start: float  # records opened and checked, a checkpoint restored
  lost: float  # reported steps that had to be made again
  between: float  # from the last report of a session to the next start: nobody was at work, or
  # steps were made that were never reported
  rest: float  # evaluation, reports, the last save

  @property
  def goodput(self) -> float:
    """The share of all time that went into steps that count."""
    return self.steps / max(self.all, 1e-9)


def of(workdir: str | Path) -> Goodput:
  """Accounts for the time of a run, from its metrics.jsonl and sessions.jsonl.

  Raises InputError where there is no such run.
  """
  sessions, rows = writers.read_sessions(workdir), writers.read_metrics(workdir)
  if not sessions or not rows:
    raise InputError(
      f'got {str(workdir)!r} without {writers.SESSIONS} or {writers.METRICS}, expected the '
      '--workdir of `gmtalker train` that has reported a step'
    )
  start = lost = between = 0.0
  for i, session in enumerate(sessions):
    after = sessions[i + 1] if i + 1 < len(sessions) else None
    until = after['began'] if after else float('inf')
    start += session['opened'] - session['began']
    kept = [r['time'] for r in rows if session['opened'] <= r['time'] < until]
    sign = max(kept, default=session['opened'])
    if after:
      last = max(sign, after['dropped'])  # dropped rows are of the session before, or older
      lost += last - sign
      between += after['began'] - last
  wait = compiled = blocked = steps = 0.0
  done = {session['step'] for session in sessions}  # a first step compiles, and is no pace
  before = 0
  for row in rows:
    if 'pace/compile_seconds' in row:
      compiled += row['pace/compile_seconds']
    if 'pace/step_seconds' in row:
      begun = max((s for s in done if before <= s < row['step']), default=None)
      count = row['step'] - (before if begun is None else begun + 1)
      seconds = row['pace/step_seconds'] * count
      steps += seconds
      wait += row['pace/data_wait_share'] * seconds
    if 'pace/compile_seconds' in row or 'pace/step_seconds' in row:
      before = int(row['step'])
    blocked += row.get('checkpoint/blocked_seconds', 0.0)
  whole = max(row['time'] for row in rows) - sessions[0]['began']
  steps = max(steps - wait - blocked, 0.0)
  known = steps + wait + blocked + compiled + start + lost + between
  return Goodput(
    whole, len(sessions), steps, wait, blocked, compiled, start, lost, between, whole - known
  )
