"""Records from disk, one dictionary of NumPy arrays per clip."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tensorflow_datasets as tfds

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema, statistics

DIRECTORY = 'records'  # where data_pipelines/build.py puts them
PEOPLE = 'people.json'  # beside the manifest; not there where no likeness was fitted
_IMAGES = ('frames', 'renderings')


def open_records(
  directory: str | Path, split: str, with_frames: bool = False, verify: bool = True
) -> 'Source':
  """Opens one split of a records directory (or of the directory that holds `records/`).

  Args:
    directory: what `gmtalker prepare` wrote.
    split: 'train' or 'test'.
    with_frames: `frames` and `renderings` are there, as lists of encoded pictures (see `decode`);
      otherwise they are left out of the records.
    verify: compare the digest of each shard too; sizes and counts are always compared. (ArrayRecord
      opens a truncated shard as an empty one, without an error.)

  Raises:
    InputError: no records there, no such split, or a shard that is not what was written.
  """
  directory = find(directory)
  manifest = read_manifest(directory)
  splits = manifest['splits']
  if split not in splits:
    raise InputError(f'got split {split!r} of {directory}, expected one of {sorted(splits)}')
  for shard in splits[split]['shards']:
    _check_shard(directory / shard, manifest['files'][shard], verify)
  source = Source(directory, split, with_frames)
  expected = splits[split]['records']
  if len(source) != expected:
    raise InputError(
      f'got {len(source)} records in split {split!r} of {directory}, expected {expected}; '
      'prepare the records again'
    )
  return source


class Source:
  """Random access: `len(source)`, `source[i]` -> record (see data/schema.py). Pickles."""

  def __init__(self, directory: Path, split: str, with_frames: bool):
    self.directory, self.split, self.with_frames = directory, split, with_frames
    self._records = None

  def __len__(self) -> int:
    return len(self._open())

  def __getitem__(self, index: int) -> dict[str, Any]:
    raw = self._open()[index]
    if raw['id'] is None:
      raise InputError(f'got no data for record {index} of {self.directory}; prepare it again')
    # Records written before there was a field for it show no shoulders.
    raw = {'sway': np.zeros((len(raw['motion']), len(schema.SWAY_NAMES))), **raw}
    return {name: _plain(field, raw[name]) for name, field in schema.RECORD.items()
            if self.with_frames or name not in _IMAGES}  # fmt: skip

  def __getstate__(self) -> dict[str, Any]:
    return {**self.__dict__, '_records': None}  # readers do not survive a pickle

  @property
  def fingerprint(self) -> str:
    """Changes whenever any byte of the split does."""
    manifest = read_manifest(self.directory)
    shards = manifest['splits'][self.split]['shards']
    text = json.dumps([self.split, [manifest['files'][s] for s in shards]])
    return hashlib.sha256(text.encode()).hexdigest()[:16]

  @property
  def statistics(self) -> statistics.Statistics:
    """Fitted on the split 'train' when the records were written."""
    return statistics.load(self.directory / 'statistics.json')

  @property
  def subjects(self) -> tuple[str, ...]:
    """The people of the split 'train', sorted: a subject's index is its place here."""
    return tuple(read_manifest(self.directory)['subjects'])

  @property
  def head(self) -> str:
    """The head that the renderings show, see io.heads.name; 'builtin' where nobody wrote it."""
    return read_manifest(self.directory).get('head', 'builtin')

  @property
  def people(self) -> Mapping[str, Mapping[str, Any]]:
    """What the renderings know of each subject, as io.people writes it; empty for plain ones."""
    path = self.directory / PEOPLE
    if not path.is_file():
      return {}
    try:
      return json.loads(path.read_text())
    except (OSError, ValueError) as e:
      raise InputError(f'got an unreadable {path} ({e}); prepare the records again') from e

  def _open(self):
    if self._records is None:
      decoders = {name: _Encoded() for name in _IMAGES}
      try:
        builder = tfds.builder_from_directory(self.directory)
        self._records = builder.as_data_source(  # its decorator hides `self`
          self.split,  # ty: ignore[invalid-argument-type]
          decoders=decoders,  # ty: ignore[invalid-argument-type]
        )
      except Exception as e:  # TFDS raises whatever its parsers do
        reason = f'{type(e).__name__}: {e}'.splitlines()[0]
        raise InputError(
          f'got unreadable records in {self.directory} ({reason}), expected dataset_info.json and '
          'features.json as they were written; copy them again or prepare the records again'
        ) from e
    return self._records


def find(directory: str | Path) -> Path:
  """The directory with the manifest: `directory` itself or its `records/`."""
  for candidate in (Path(directory), Path(directory) / DIRECTORY):
    if (candidate / 'manifest.json').is_file():
      return candidate
  raise InputError(
    f'got {str(directory)!r}, expected a directory that `gmtalker prepare` wrote (with '
    f'{DIRECTORY}/manifest.json)'
  )


def read_manifest(directory: Path) -> Mapping[str, Any]:
  """Counts, sizes, digests and people of a records directory."""
  path = directory / 'manifest.json'
  try:
    return json.loads(path.read_text())
  except (OSError, ValueError) as e:
    raise InputError(f'got an unreadable {path} ({e}); prepare the records again') from e


def decode(picture: bytes) -> np.ndarray:
  """An encoded picture of a record as uint8 [H, W, 3] RGB."""
  found = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
  if found is None:
    raise InputError('got a picture that cannot be decoded; prepare the records again')
  return np.ascontiguousarray(found[..., ::-1])


class _Encoded(tfds.decode.SkipDecoding):
  """Leaves images as bytes, lists of them too (TFDS forgot those when there is no TensorFlow)."""

  def decode_batch_example_np(self, serialized):
    return serialized


def _check_shard(path: Path, expected: Mapping[str, Any], digest: bool) -> None:
  advice = 'copy the file again or prepare the records again'
  if not path.is_file():
    raise InputError(f'got no file {path}, expected {expected["bytes"]} bytes; {advice}')
  size = path.stat().st_size
  if size != expected['bytes']:
    raise InputError(f'got {size} bytes in {path}, expected {expected["bytes"]}; {advice}')
  if digest:
    with path.open('rb') as f:
      found = hashlib.file_digest(f, 'sha256').hexdigest()
    if found != expected['sha256']:
      raise InputError(
        f'got sha256 {found[:12]} for {path}, expected {expected["sha256"][:12]}; {advice}'
      )


def _plain(field: schema.Field, value: Any) -> Any:
  if field.dtype == 'text':
    return value.decode()
  if field.dtype in ('jpeg', 'png'):
    return [bytes(picture) for picture in value]
  return np.asarray(value, np.dtype(field.dtype))
