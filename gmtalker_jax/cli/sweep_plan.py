"""What a sweep is to run: a file with a question, what all runs share, and in what they differ.

    QUESTION = 'Does a mixture help?'
    BASE = {'config': 'configs/expression.py:builtin', 'data.records': 'runs/records'}
    GRID = {'prior': {'mixture': {}, 'one Gaussian': {'model.emotions': 1}}, 'seed': (0, 1, 2)}
    READ = ('test/rec', 'emotion_accuracy')

BASE and GRID name keys of the config. A key with several values is an axis of GRID, and so is a
name with rows that change several keys, or none. READ names numbers of training ('test/rec') or
metrics of `gmtalker evaluate` ('emotion_accuracy'), which is then run on the talker TALKER
('builtin') with the trained generator put in; EVALUATE holds more flags for it.
"""

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gmtalker_jax.cli import shipped, train
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import source
from gmtalker_jax.inference import builtin

# Keys that say where something is: what is there counts, not its path.
_PLACES = ('data.records', 'data.expression_workdir', 'init_from')
_RECORDS = {'portrait': '--portrait-records'}  # other stages: --records


class Point(NamedTuple):
  """One run."""

  id: str  # of the resolved config, what it reads, and the code
  choices: Mapping[str, str]  # axis -> the value taken, to be read
  stage: str
  steps: int
  train: tuple[str, ...]  # arguments of `gmtalker train` but --workdir
  evaluate: tuple[str, ...]  # arguments of `gmtalker evaluate` but --talker, --metrics, --out
  talker: str  # what the trained generator is put into

  @property
  def name(self) -> str:
    """The choices in one line."""
    return ' '.join(f'{axis}={value}' for axis, value in self.choices.items()) or 'the only point'


class Plan(NamedTuple):
  """All of a sweep."""

  question: str
  read: tuple[str, ...]
  points: tuple[Point, ...]

  @property
  def measured(self) -> tuple[str, ...]:
    """The metrics of `gmtalker evaluate` among `read`."""
    return tuple(name for name in self.read if '/' not in name)


def read(path: str | Path, changes: Mapping[str, str] | None = None) -> Plan:
  """Reads a sweep; every point's config is resolved and checked.

  Args:
    path: the file.
    changes: replace or join keys of BASE.

  Raises:
    InputError: no such file, a part of it is missing, a key or a metric does not exist, two points
      are the same, or what a point reads is not there.
  """
  given = _load(path)
  base = {**given['BASE'], **(changes or {})}
  if 'config' not in base:
    raise InputError(f"got BASE of {str(path)!r} without 'config', expected a config file")
  config = str(base.pop('config'))
  code, points = code_digest(), []
  for choices, chosen in _grid(given['GRID']):
    flags = tuple(f'--config.{key}={_text(value)}' for key, value in {**base, **chosen}.items())
    points.append(_point(config, flags, choices, given, code))
  plan = Plan(str(given['QUESTION']), tuple(given['READ']), tuple(points))
  _check(plan, path)
  return plan


def code_digest() -> str:
  """Of every line and weight of the package that can change a number: the commands cannot."""
  root = Path(__file__).parents[1]
  digest = hashlib.sha256()
  for file in sorted(root.rglob('*')):
    part = file.relative_to(root)
    if part.parts[0] != 'cli' and file.suffix in ('.py', '.npz', '.json', '.safetensors'):
      digest.update(f'{part}\0'.encode() + hashlib.sha256(file.read_bytes()).digest())
  return digest.hexdigest()


def _load(path: str | Path) -> dict[str, Any]:
  path = Path(path)
  if not path.is_file():
    raise InputError(f'got {str(path)!r}, expected a file of a sweep; see experiments/ablations')
  try:
    given = vars(shipped.config_module(str(path)))
  except Exception as error:  # a file of somebody's can raise anything
    raise InputError(f'cannot read the sweep {str(path)!r}: {error}; mend it') from None
  for name in ('QUESTION', 'BASE', 'GRID', 'READ'):
    if not given.get(name):
      raise InputError(f'got {str(path)!r} without {name}, expected one; add it')
  return given


def _grid(grid: Mapping[str, Any]) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
  """Every choice of one value for each axis: what is read, and the keys that it sets."""
  rows = []
  for axis, values in grid.items():
    pairs = values.items() if isinstance(values, Mapping) else [(v, {axis: v}) for v in values]
    rows.append([(axis, _text(shown), keys) for shown, keys in pairs])
  for chosen in itertools.product(*rows):
    choices = {axis: shown for axis, shown, _ in chosen}
    yield choices, {key: value for *_, keys in chosen for key, value in keys.items()}


def _point(
  file: str, flags: Sequence[str], choices: Mapping[str, str], given: Mapping[str, Any], code: str
) -> Point:
  arguments = (f'--config={file}', *flags)
  config, _ = train.read_flags([*arguments, '--workdir=unused'])
  from gmtalker_jax.train import run

  run.read(config)  # every key has a field, before anything is begun
  values = json.loads(config.to_json_best_effort())
  for key in _PLACES:
    holder, name = (values['data'], key[5:]) if key.startswith('data.') else (values, key)
    if holder.get(name):
      holder[name] = _fingerprint(key, holder[name])
  records = (_RECORDS.get(config.stage, '--records'), str(config.data.records))
  evaluate = (*records, *map(str, given.get('EVALUATE', ())))
  talker = str(given.get('TALKER', 'builtin'))
  identity = [values, code, evaluate[2:], _fingerprint('TALKER', talker)]
  digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
  return Point(digest, choices, config.stage, config.steps, arguments, evaluate, talker)


def _fingerprint(key: str, path: str) -> str:
  """Of the documents of a folder: they hold digests, or the metrics of the weights beside them."""
  if key != 'data.records' and builtin.named(path):
    return path  # part of the code
  folder = source.find(path) if key == 'data.records' else Path(path)
  documents = sorted(folder.glob('*.json'))
  if not documents:
    raise InputError(f'got {path!r} for {key}, expected what a command of ours wrote')
  digest = hashlib.sha256()
  for document in documents:
    digest.update(f'{document.name}\0'.encode() + document.read_bytes())
  return digest.hexdigest()


def _text(value: Any) -> str:
  return str(value).lower() if isinstance(value, bool) else str(value)


def _check(plan: Plan, path: str | Path) -> None:
  if plan.measured:
    from gmtalker_jax.evaluation import metrics

    metrics.choose(plan.measured)
  seen: dict[str, Point] = {}
  for point in plan.points:
    if point.id in seen:
      raise InputError(
        f'got {str(path)!r} with {seen[point.id].name!r} and {point.name!r}, which are the same '
        'run, expected points that differ; remove one'
      )
    seen[point.id] = point
