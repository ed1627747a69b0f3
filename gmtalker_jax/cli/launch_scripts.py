"""The commands that start one training somewhere, as a person would type them."""

import shlex
from collections.abc import Sequence

from gmtalker_jax.cli.launch_file import Local, Place, Slurm, TpuVm, Training, Xpk
from gmtalker_jax.train import supervisor

_PORT = 5000


def script(training: Training, place: Place, restarts: int) -> str:
  """A shell script; `restarts` are those that the place itself is asked for."""
  match place:
    case Local():
      lines = _local(training, place)
    case Slurm():
      lines = _slurm(training, place, restarts)
    case TpuVm():
      lines = _tpu_vm(training, place)
    case Xpk():
      lines = [_long(xpk(training, place, restarts))]
  return '\n'.join(('#!/bin/bash', *lines)) + '\n'


def train(training: Training) -> list[str]:
  """The command of each process."""
  return ['gmtalker', *training.command, *training.arguments]


def member(place: Local, index: int | str, port: int = _PORT) -> list[str]:
  """The flags that make a process the one of `index` of this machine's."""
  return [
    f'--coordinator=127.0.0.1:{port}', f'--process-id={index}', f'--processes={place.processes}'
  ]  # fmt: skip


def environment(place: Local) -> dict[str, str]:
  """What a process of this machine needs to see so many devices."""
  devices = f'--xla_force_host_platform_device_count={place.devices}'
  return {'JAX_PLATFORMS': 'cpu', 'XLA_FLAGS': devices}


def ssh(place: TpuVm, command: str) -> list[str]:
  """Runs a command on every host of a slice."""
  return [
    'gcloud', 'compute', 'tpus', 'tpu-vm', 'ssh', place.name, f'--zone={place.zone}',
    '--worker=all', f'--command={command}',
  ]  # fmt: skip


def xpk(training: Training, place: Xpk, restarts: int) -> list[str]:
  """Hands a workload to a cluster, which starts it again by itself."""
  return [
    'xpk', 'workload', 'create', f'--cluster={place.cluster}', f'--workload={place.workload}',
    f'--tpu-type={place.type}', f'--num-slices={place.slices}', f'--docker-image={place.image}',
    f'--max-restarts={restarts}', '--restart-on-user-code-failure',
    f'--termination-grace-period-seconds={place.grace}', *place.options,
    f'--command={shlex.join(train(training))}',
  ]  # fmt: skip


def _local(training: Training, place: Local) -> list[str]:
  given = ' '.join(f'{name}={value}' for name, value in environment(place).items())
  last = place.processes - 1
  return [
    f'export {given}',
    f'for i in $(seq 0 {last}); do',
    f'  {shlex.join(train(training))} \\',
    f'    {" ".join(member(place, "$i"))} &',
    'done',
    'wait',
  ]


def _slurm(training: Training, place: Slurm, restarts: int) -> list[str]:
  options = [
    f'--nodes={place.nodes}', f'--ntasks-per-node={place.tasks_per_node}',
    f'--signal=TERM@{place.warning}', '--requeue', '--open-mode=append', *place.options,
  ]  # fmt: skip
  codes = '|'.join(str(code) for code in sorted(supervisor.AGAIN))
  return [
    *(f'#SBATCH {option}' for option in options),
    *place.setup,
    f'srun {shlex.join(train(training))}',
    'code=$?',
    '# Stopped and saved, stuck, or a process was lost: the same job goes on where it was.',
    'case $code in',
    f'  {codes})',
    f'    [ "${{SLURM_RESTART_COUNT:-0}}" -lt {restarts} ] && scontrol requeue "$SLURM_JOB_ID" ;;',
    'esac',
    'exit $code',
  ]


def _tpu_vm(training: Training, place: TpuVm) -> list[str]:
  create = [
    'gcloud', 'compute', 'tpus', 'tpu-vm', 'create', place.name, f'--zone={place.zone}',
    f'--accelerator-type={place.type}', f'--version={place.version}', *place.options,
  ]  # fmt: skip
  lines = ['# Once: the machines, and what they need. From here on they cost.', _long(create)]
  if place.setup:
    lines.append(_long(ssh(place, ' && '.join(place.setup))))
  return [
    *lines,
    '# The training, the same on every host; again after 75 to 78.',
    _long(ssh(place, shlex.join(train(training)))),
  ]


def _long(words: Sequence[str]) -> str:
  """One command, its flags on lines of their own."""
  first = next(i for i, word in enumerate(words) if word.startswith('--'))
  return ' \\\n  '.join((shlex.join(words[:first]), *map(_flag, words[first:])))


def _flag(word: str) -> str:
  name, equals, value = word.partition('=')
  return f'{name}={shlex.quote(value)}' if equals else shlex.quote(word)
