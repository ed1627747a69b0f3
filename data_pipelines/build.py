"""Records on disk: a TFDS dataset (ArrayRecord, no TensorFlow), statistics and a manifest.

Everything is written into a hidden directory beside the target and renamed when it is whole, so a
reader never sees half a dataset.
"""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema, source, statistics
from gmtalker_jax.face.person import Person
from gmtalker_jax.io import files, heads
from gmtalker_jax.io import people as people_json

Examples = Iterable[Mapping[str, Any]]
VERSION = '1.0.0'
_SHARD = 256_000_000  # bytes of a file, about


def write_records(
  examples: Mapping[str, Examples],
  out: str | Path,
  dataset: str,
  *,
  people: Mapping[str, Person] = MappingProxyType({}),
  per_shard: int | None = None,
) -> Path:
  """Writes records and returns their directory, `out/records`.

  Args:
    examples: split name -> records as in `schema.RECORD`. `frames` and `renderings` are lists of
      encoded bytes. Iterators are consumed once, one record in memory at a time. A split without
      records is left out; 'train' must have some.
    out: an existing or new directory. Older records in it are replaced in one rename.
    dataset: a name for people, kept in the manifest.
    people: subject -> the person that the renderings of that subject show; none for plain ones.
    per_shard: records of a file; None goes by the size of the first record.

  Raises:
    InputError: a record breaks the contract, two records share an id, or 'train' is empty.
  """
  out = Path(out)
  out.mkdir(parents=True, exist_ok=True)
  first, splits = _peek(examples)
  meter, ids = _Meter(), set()
  splits = {
    name: meter.watch(_checked(records, first, ids), name == 'train')
    for name, records in splits.items()
  }
  with files.replacing_folder(out / source.DIRECTORY) as whole:
    _write(splits, first, whole, per_shard or max(1, _SHARD // max(_bytes(first), 1)))
    files.write_json(whole / 'statistics.json', meter.statistics.to_json())
    if people:
      known = {subject: people_json.to_json(person) for subject, person in sorted(people.items())}
      files.write_json(whole / source.PEOPLE, known)
    _write_manifest(whole, dataset, meter.subjects)
  return out / source.DIRECTORY


def features(first: Mapping[str, Any]) -> tfds.features.FeaturesDict:
  """TFDS features of `schema.RECORD`. Widths (speech D, E, M) are those of the first record."""
  return tfds.features.FeaturesDict(
    {name: _feature(field, first[name]) for name, field in schema.RECORD.items()}
  )


def _feature(field: schema.Field, value: Any) -> tfds.features.FeatureConnector:
  if field.dtype == 'text':
    return tfds.features.Text()
  if field.dtype in ('jpeg', 'png'):
    image = tfds.features.Image(shape=(None, None, 3), encoding_format=field.dtype)
    return tfds.features.Sequence(image)
  shape = field.shape
  if len(shape) == 2:  # TFDS can restore one unknown axis, not two
    shape = (None, np.shape(value)[1])
  return tfds.features.Tensor(shape=shape, dtype=np.dtype(field.dtype))


def _peek(examples: Mapping[str, Examples]) -> tuple[Mapping[str, Any], dict[str, Iterator]]:
  splits: dict[str, Iterator] = {}
  first: Mapping[str, Any] | None = None
  for name, records in examples.items():
    records = iter(records)
    head = next(records, None)
    if head is None:
      continue
    splits[name] = itertools.chain([head], records)
    first = head if first is None else first
  if first is None or 'train' not in splits:
    raise InputError(
      "got no record in the split 'train', expected at least one; see the report for what was "
      'rejected and why'
    )
  return first, splits


def _checked(
  records: Examples, first: Mapping[str, Any], ids: set[str]
) -> Iterator[dict[str, Any]]:
  for record in records:
    problem = _problem(record, first)
    if problem:
      raise InputError(f'got record {record.get("id", "?")!r} with {problem}')
    if record['id'] in ids:
      raise InputError(f'got two records with the same id {record["id"]!r}, expected unique ids')
    ids.add(record['id'])
    yield {name: _cast(field, record[name]) for name, field in schema.RECORD.items()}


def _problem(record: Mapping[str, Any], first: Mapping[str, Any]) -> str | None:
  """What is wrong with a record, or None."""
  if set(record) != set(schema.RECORD):
    missing, extra = set(schema.RECORD) - set(record), set(record) - set(schema.RECORD)
    return f'fields missing {sorted(missing)} and unknown {sorted(extra)}, expected schema.RECORD'
  frames = len(record['expression'])
  lengths = {
    'expression': frames,
    'motion': frames,
    'sway': frames,
    'valid': frames,
    'speech': frames * schema.SPEECH_PER_FRAME,
  }
  for name, length in lengths.items():
    if len(record[name]) != length:
      return f'{len(record[name])} rows of {name}, expected {length} ({frames} video frames)'
  if not frames:
    return 'no frame, expected at least one'
  for name in ('speech', 'expression', 'motion', 'sway', 'identity'):
    shape, known = np.shape(record[name]), np.shape(first[name])
    if shape[1:] != known[1:]:
      return f'{name} of width {shape[1:]}, expected {known[1:]} as in {first["id"]!r}'
    if not np.isfinite(np.asarray(record[name], np.float32)).all():
      return f'a value of {name} that is not finite'
  if record['layout'] not in schema.LAYOUTS:
    return f'layout {record["layout"]!r}, expected one of {sorted(schema.LAYOUTS)}'
  if record['emotion'] not in ('', *schema.EMOTIONS):
    return f'emotion {record["emotion"]!r}, expected one of {schema.EMOTIONS} or ""'
  if len(record['frames']) not in (0, frames) or len(record['renderings']) != len(record['frames']):
    return (
      f'{len(record["frames"])} frames and {len(record["renderings"])} renderings, '
      f'expected none or {frames} of both'
    )
  return None


def _cast(field: schema.Field, value: Any) -> Any:
  if field.dtype == 'text':
    return str(value)
  if field.dtype in ('jpeg', 'png'):
    return [bytes(image) for image in value]
  return np.asarray(value, np.dtype(field.dtype))


class _Meter:
  """Fits the statistics and collects the people while the training records pass by."""

  def __init__(self):
    self.subjects: set[str] = set()
    self._total: statistics.Statistics | None = None

  @property
  def statistics(self) -> statistics.Statistics:
    assert self._total is not None, 'watch the training records first'
    return self._total

  def watch(self, records: Iterator, fit: bool) -> Iterator:
    for record in records:
      if fit:
        one = statistics.measure(record)
        self._total = one if self._total is None else self._total.merge(one)
        self.subjects.add(record['subject'])
      yield record


def _write(
  splits: Mapping[str, Iterator], first: Mapping[str, Any], folder: Path, per_shard: int
) -> None:
  """Writes record after record. TFDS's own builders sort a split, which they hold in memory or,
  beyond a gigabyte, need TensorFlow for."""
  identity = tfds.core.DatasetIdentity('records', VERSION, data_dir=str(folder), module_name='')
  info = tfds.core.DatasetInfo(builder=identity, features=features(first))
  writer = tfds.core.SequentialWriter(info, per_shard, file_format='array_record')
  writer.initialize_splits(list(splits))
  for name, records in splits.items():
    for record in records:
      writer.add_examples({name: [record]})
  writer.close_all()


def _bytes(record: Mapping[str, Any]) -> int:
  """About how much a record takes."""
  return sum(
    sum(map(len, value)) if isinstance(value, list) else np.asarray(value).nbytes
    for value in record.values()
  )


def _write_manifest(path: Path, dataset: str, subjects: set[str]) -> None:
  """Counts, sizes and digests: ArrayRecord opens a truncated shard as an empty one."""
  info = tfds.builder_from_directory(path).info
  digests = {
    f.name: {'bytes': f.stat().st_size, 'sha256': _digest(f)}
    for f in sorted(path.iterdir())
    if '.array_record' in f.name
  }
  manifest = {
    'dataset': dataset,
    'head': heads.name(),  # that the renderings show
    'subjects': sorted(subjects),
    'splits': {
      name: {'records': split.num_examples, 'shards': [f.name for f in map(Path, split.filepaths)]}
      for name, split in info.splits.items()
    },
    'files': digests,
  }
  files.write_json(path / 'manifest.json', manifest)


def _digest(path: Path) -> str:
  with path.open('rb') as f:
    return hashlib.file_digest(f, 'sha256').hexdigest()
