"""What is measured on what, as data: clips, crop, seeds and judges, in one file that travels.

`gmtalker evaluate` writes one beside its numbers, with every clip by name and every judge by the
digest of its weights; given back with --protocol it measures the same again, or refuses. The files
in this folder name their clips by rule, because they are to be found in anybody's records:
MEAD's official split and its four people (docs/method.md 5.1).
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gmtalker_jax.core.errors import InputError, did_you_mean
from gmtalker_jax.io import files

SHIPPED = {path.stem: path for path in sorted(Path(__file__).parent.glob('*.json'))}


@dataclasses.dataclass(frozen=True)
class Protocol:
  """The choices of an evaluation that its numbers depend on.

  Attributes:
    about: in words.
    subjects: only these people; empty = all.
    last: of each person, view, emotion and level at most so many clips, the last by id: of
      'neutral', and of the 'others'; empty = all.
    clips: role (a field of Study, 'records' ...) -> ids, exactly these; empty = by the rules above.
    limit: at most so many held-out clips of a role, evenly spread; None = all.
    seeds: of head motion for one sound.
    crop: pixels of the aligned face on which landmarks are measured (metrics/pixels.py).
    judges: name -> digest of the weights; one that is here with others is refused.
  """

  about: str = 'as many held-out clips as were asked for'
  subjects: Sequence[str] = ()
  last: Mapping[str, int] = dataclasses.field(default_factory=dict)
  clips: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
  limit: int | None = 48
  seeds: int = 10
  crop: int = 256
  judges: Mapping[str, str] = dataclasses.field(default_factory=dict)

  def select(self, role: str, records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Which of the held-out records of a role are measured, sorted by id.

    Raises:
      InputError: a clip of the list is not there, or nobody of `subjects`.
    """
    records = sorted(records, key=lambda record: record['id'])
    if role in self.clips:
      return self._listed(role, records)
    if self.subjects:
      there = {record['subject'] for record in records}
      if not there & set(self.subjects):
        raise InputError(
          f'got {role} of {", ".join(sorted(there)[:8]) or "nobody"}, expected one of '
          f'{", ".join(self.subjects)} as the protocol says; choose other records'
        )
      records = [record for record in records if record['subject'] in self.subjects]
    if self.last:
      records = self._latest(records)
    if self.limit and len(records) > self.limit:
      step = (len(records) - 1) / max(self.limit - 1, 1)
      records = [records[round(i * step)] for i in range(self.limit)]
    return records

  def check_judges(self, here: Mapping[str, str]) -> None:
    """Raises InputError where a judge that the protocol names is not here with the same weights."""
    for name, digest in self.judges.items():
      if here.get(name) != digest:
        raise InputError(
          f'got the judge {name} {"with weights " + here[name] if name in here else "nowhere"}, '
          f'expected {digest} as the protocol says; run `make carriers`, or remove it from the file'
        )

  def _listed(self, role: str, records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    by_id = {record['id']: record for record in records}
    missing = [name for name in self.clips[role] if name not in by_id]
    if missing:
      raise InputError(
        f'got {role} without {len(missing)} of the {len(self.clips[role])} clips of the protocol '
        f'({", ".join(missing[:3])}), expected all; prepare them, or measure by another protocol'
      )
    return [by_id[name] for name in sorted(self.clips[role])]

  def _latest(self, records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    key = lambda r: (r['subject'], r['view'], r['emotion'], r['level'])  # noqa: E731
    kept = []
    for (_, _, emotion, _), group in itertools.groupby(sorted(records, key=key), key):
      most = self.last['neutral' if emotion == 'neutral' else 'others']
      kept += sorted(group, key=lambda record: record['id'])[-most:]
    return sorted(kept, key=lambda record: record['id'])


def read(name: str) -> Protocol:
  """A protocol by name, or from a file that `evaluate` wrote or somebody made of one.

  Raises:
    InputError: neither, or fields that no protocol has.
  """
  if name not in SHIPPED and not Path(name).is_file():
    raise InputError(
      f'got the protocol {name!r}{did_you_mean(name, SHIPPED)}; expected a file, or one of '
      f'{", ".join(SHIPPED)}'
    )
  values = files.read_json(SHIPPED.get(name, name))
  known = {field.name: field.type for field in dataclasses.fields(Protocol)}
  if not isinstance(values, dict) or not values.keys() <= known.keys():
    strange = ', '.join(sorted(set(values) - known.keys())) if isinstance(values, dict) else 'no {}'
    raise InputError(
      f'got {name!r} with {strange}, expected the fields of a protocol: {", ".join(known)}'
    )
  found = Protocol(**values)
  whole = lambda x: isinstance(x, int) and not isinstance(x, bool) and x >= 1  # noqa: E731
  right = (
    whole(found.seeds) and whole(found.crop) and (found.limit is None or whole(found.limit))
    and isinstance(found.clips, dict) and all(isinstance(ids, list) for ids in found.clips.values())
    and isinstance(found.judges, dict) and isinstance(found.subjects, (list, tuple))
    and isinstance(found.last, dict) and set(found.last) in (set(), {'neutral', 'others'})
    and all(whole(most) for most in found.last.values())
  )  # fmt: skip
  if not right:
    raise InputError(
      f'got {name!r} with fields that cannot be, expected seeds, crop and limit >= 1, clips and '
      'judges by name, last with neutral and others; compare it with one that `evaluate` wrote'
    )
  return found
