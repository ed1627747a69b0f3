"""Opening records: what the examples of all stages have in common."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from gmtalker_jax.data import batches, source
from gmtalker_jax.data.batches import Items
from gmtalker_jax.data.statistics import Statistics
from gmtalker_jax.train.settings import Settings


class Examples(NamedTuple):
  """The examples of a run, and what the data have to say about the run."""

  train: Items
  test: Items
  example: batches.Example
  groups: Sequence[Any] | None  # of each training item, where groups are to be balanced
  sizes: dict[str, int]  # fields of the generator
  statistics: Statistics
  fingerprint: str
  about: dict[str, Any]  # fields of io.workdir.About
  assets: Mapping[str, Any] = MappingProxyType({})  # what else the objective needs from a disk


class Clips(NamedTuple):
  """Both splits of some records."""

  train: Items
  test: Items
  source: source.Source  # of the training split
  statistics: Statistics  # standardise with these

  @property
  def sizes(self) -> dict[str, int]:
    """Every size of a network that is a size of the data."""
    widths = self.source.statistics._asdict().items()
    return {f'{name}_dim': len(moments.mean) for name, moments in widths} | {
      'subjects': len(self.source.subjects)
    }

  @property
  def about(self) -> dict[str, Any]:
    """What a trained stage remembers of its records."""
    first = self.train[0]
    return {
      'subjects': self.source.subjects,
      'layout': first['layout'],
      'speech_encoder': first['speech_encoder'],
    }

  def emotions(self, numbers: Sequence[int]) -> list[str]:
    """The labels of training clips; '' where there is none."""
    return [self.train[i]['emotion'] for i in numbers]


def open_clips(
  settings: Settings, statistics: Statistics | None = None, with_frames: bool = False
) -> Clips:
  """Opens both splits, cached as the config says.

  `statistics` are those of the weights that the run begins with; None = those of the records.

  Raises InputError, see `source.open_records`.
  """
  data = settings.data
  train, test = (
    source.open_records(data.records, split, with_frames, data.verify)
    for split in ('train', 'test')
  )
  cached = (batches.Cached(split, data.cache_mb) for split in (train, test))
  own = train.statistics
  return Clips(*cached, train, statistics.moved_to(own) if statistics else own)


def windows(settings: Settings, clips: Clips, example: batches.Example) -> Examples:
  """Examples that are windows of clips."""
  groups = clips.emotions(range(len(clips.train))) if settings.data.balanced else None
  return Examples(
    train=clips.train,
    test=clips.test,
    example=example,
    groups=groups,
    sizes=clips.sizes,
    statistics=clips.statistics,
    fingerprint=clips.source.fingerprint,
    about=clips.about,
  )
