"""Write the commands that start one training on many processes, and with --run, start it.

examples:
  gmtalker launch local configs/launch.toml --run
  gmtalker launch local configs/launch.toml --run --restarts 3
  gmtalker launch slurm configs/launch.toml > job.sh
  gmtalker launch tpu-vm mine.toml
  gmtalker launch xpk mine.toml --run

The file says what is trained and where; copy configs/launch.toml. The config and its flags are
checked here first. --run does this:
  local    starts the processes and watches over them. When one is killed, stuck or stopped, all
           start again from the newest checkpoint: --restarts times in a row without a newer one
  slurm    hands the job to sbatch; it goes back to the queue by itself, --restarts times
  tpu-vm   runs the training on all hosts and watches over it, as above. The machines must be
           there: creating them costs, so those lines are only written
  xpk      hands the workload to the cluster, which starts it again by itself, --restarts times

exit codes: those of `gmtalker train`; for slurm and xpk, of handing it over.
"""

import dataclasses
import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from gmtalker_jax.cli import arguments, launch_file, train
from gmtalker_jax.cli.launch_file import Local, Slurm, TpuVm, Training, Xpk
from gmtalker_jax.core.errors import InputError

_PROGRAM = (sys.executable, '-m', 'gmtalker_jax.cli.main')


def main(argv: Sequence[str]) -> int:
  """Runs `gmtalker launch`."""
  parser = arguments.Parser('launch', __doc__ or '')
  add = parser.add_argument
  add('place', choices=list(launch_file.PLACES))
  add('file', metavar='FILE', help='see configs/launch.toml')
  add('--run', action='store_true', help='and run it')
  add('--doctor', action='store_true', help='`gmtalker doctor --distributed` instead')
  add('--restarts', type=arguments.whole, default=3, help='see above (default 3)')
  args = parser.read(argv)
  training, place = launch_file.read(args.file, args.place)
  if args.doctor:
    training, args.restarts = dataclasses.replace(training, command=launch_file.DOCTOR), 0
  _check(training)
  from gmtalker_jax.cli import launch_scripts as scripts

  text = scripts.script(training, place, args.restarts)
  if not args.run:
    print(text, end='')
    return 0
  match place:
    case Local():
      return _run_local(training, place, args.restarts)
    case Slurm():
      return _hand_over(['sbatch'], text)
    case TpuVm():
      command = _found(scripts.ssh(place, shlex.join(scripts.train(training))))
      return _watch_over(training, args.restarts, lambda: [_begin(command)])
    case Xpk():
      return _hand_over(scripts.xpk(training, place, args.restarts))


def _check(training: Training) -> None:
  """Raises InputError for what `gmtalker train` would refuse."""
  _, flags = train.read_processes(training.arguments)
  config, _ = train.read_flags(flags)
  from gmtalker_jax.train import run

  run.read(config)


def _run_local(training: Training, place: Local, restarts: int) -> int:
  from gmtalker_jax.cli import launch_scripts as scripts
  from gmtalker_jax.train import processes, supervisor

  given = scripts.environment(place)
  flags = f'{os.environ.get("XLA_FLAGS", "")} {given["XLA_FLAGS"]}'
  env = {**os.environ, **given, 'XLA_FLAGS': flags.strip()}
  logs = Path(training.workdir) / processes.DIRECTORY

  def begin(index: int, port: int, lock: int) -> subprocess.Popen:
    command = [
      *_PROGRAM,
      *training.command,
      *training.arguments,
      *scripts.member(place, index, port),
    ]
    log = logs / f'{index}.log' if index else None  # the first speaks for all of them
    return _begin(command, log, env=env, pass_fds=[lock])

  def start() -> list[subprocess.Popen]:
    port = _free_port()
    return [begin(i, port, lock) for i in range(place.processes)]

  with supervisor.claimed(training.workdir) as lock:
    return _watch_over(training, restarts, start)


def _watch_over(
  training: Training, restarts: int, start: Callable[[], Sequence[subprocess.Popen]]
) -> int:
  from gmtalker_jax.io import steps, workdir
  from gmtalker_jax.train import supervisor

  directory = Path(training.workdir) / workdir.CHECKPOINTS
  return supervisor.supervise(start, restarts, lambda: max(steps.find(directory), default=0))


def _begin(command: Sequence[str], log: Path | None = None, **options) -> subprocess.Popen:
  """Starts a process in a session of its own: Ctrl-C is for the launcher, which passes it on."""
  if log is None:
    return subprocess.Popen(command, start_new_session=True, **options)
  with log.open('a') as file:
    return subprocess.Popen(
      command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True, **options
    )


def _hand_over(command: Sequence[str], text: str = '') -> int:
  return subprocess.run(_found(command), input=text, text=True).returncode


def _found(command: Sequence[str]) -> Sequence[str]:
  if shutil.which(command[0]) is None:
    raise InputError(
      f'got no program {command[0]!r}, expected it for --run; without --run the commands are '
      'written, to be run where it is'
    )
  return command


def _free_port() -> int:
  with socket.socket() as probe:
    probe.bind(('127.0.0.1', 0))
    return probe.getsockname()[1]
