"""Videos of one person to records of clips: `gmtalker prepare person`, the beginning of a portrait.

Each video is followed once as a whole. Of all of them together come the head's shape, so that one
identity serves all clips; of each as a whole the crop and the lag of its sound. Then it is cut at
pauses, and the end of the last ones is held out: nothing of it is seen in training. What remains
for training tells skin, light and shoulders.
"""

import csv
import dataclasses
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from gmtalker_jax import speech
from gmtalker_jax.core.errors import InputError, did_you_mean
from gmtalker_jax.data import schema
from gmtalker_jax.face.person import Person
from gmtalker_jax.io import audio, files, identity, video
from gmtalker_jax.io.heads import load_head

from . import (
  build,
  contact_sheet,
  cuts,
  displacement,
  ingest,
  prepare,
  report,
  shoulders,
  sources,
  spooled,
)
from . import fit as fitting
from . import track as tracking

KIND = 'person'
HELD_OUT = 'held_out.wav'
SHORTEST = 15.0  # seconds of a person, all videos together
# Cosine of two faces: 0.80 +- 0.14 for one person, 0.02 +- 0.15 for two.
_ONE_PERSON = 0.4
_LOOKS, _APART = 3, 25  # frames of a video that are compared, and how far they are apart


class Piece(NamedTuple):
  """Frames [start, stop) of a clip, and where they go."""

  clip: ingest.Ingested
  start: int
  stop: int
  split: str
  emotion: str

  @property
  def id(self) -> str:
    """A name that sorts in time."""
    return f'{self.clip.source.id}_{self.start:06d}'

  @property
  def wave(self) -> np.ndarray:
    """Its samples."""
    return self.clip.wave[self.start * schema.SAMPLES_PER_FRAME :][
      : (self.stop - self.start) * schema.SAMPLES_PER_FRAME
    ]


def prepare_person(
  videos: Sequence[str | Path],
  out: str | Path,
  *,
  name: str = '',
  encoder: str = speech.DEFAULT,
  size: int = 256,
  plain: bool = False,
  with_shoulders: bool = True,
  labels: Mapping[str, str] | None = None,
  progress: bool = True,
  overwrite: bool = False,
) -> dict[str, Any]:
  """Turns videos of one person into records with frames, a report and a contact sheet.

  Args:
    videos: files, or folders of them.
    out: a new folder for records/, report.json, contact_sheet.jpg and held_out.wav, the sound of
      the held-out clips in their order.
    name: of the person; '' = the name of the first video.
    encoder: speech features, see speech/__init__.py.
    size: pixels of the pictures.
    plain: render with the head's own skin and light, without a fitted likeness.
    with_shoulders: render them too, where they can be followed (not if `plain`).
    labels: name of a video -> emotion; the others are unknown.
    progress: show bars on stderr.
    overwrite: replace `out` if it exists.

  Returns:
    the report (report.make).

  Raises:
    InputError: no video, one that cannot be used, more than one person, too little of it.
  """
  out = Path(out)
  prepare.check_out(out, overwrite, size)
  speech.open(encoder)
  clips = _sources(videos, name, labels or {})
  tools = prepare.tools(encoder)
  seen = [_attempt(_see, clip, clip, tools) for clip in _watched(clips, 'watching', progress)]
  _check_length(seen)
  notes = _check_one_person(seen)
  together = [tracking.seen(sighting.track, sighting.crop) for sighting in seen]
  shape = fitting.fit_shape(tools.model, together)
  fitted = [_attempt(ingest.understand, s.source, s, tools, shape) for s in seen]
  with files.replacing_folder(out) as work:
    spool = work / 'spool'
    spool.mkdir()
    pieces, sheet = _cut(fitted), contact_sheet.Sheet()
    for clip in _watched(fitted, 'keeping pictures', progress):
      sheet.add(prepare.spool(prepare.Task(clip.source, encoder, size, spool), clip))
    sheet.save(work / prepare.CONTACT_SHEET)
    train = [piece for piece in pieces if piece.split == 'train']
    likeness = None if plain else _likeness(train, spool, shape)
    sways: dict[str, np.ndarray] = {}
    if likeness and with_shoulders:
      likeness, sways = _with_shoulders(likeness, fitted, pieces, spool)
    splits = {
      split: _records(
        [p for p in pieces if p.split == split], spool, likeness or prepare.PLAIN, sways
      )
      for split in ('train', 'test')
    }
    people = {clips[0].subject: likeness} if likeness else {}
    build.write_records(splits, work, KIND, people=people)
    held = [piece.wave for piece in pieces if piece.split == 'test']
    audio.write(work / HELD_OUT, np.concatenate(held))
    shutil.rmtree(spool)
    made = report.make(KIND, [_facts(piece) for piece in pieces], [], [], notes)
    report.save(made, work)
  return made


def read_labels(path: str | Path) -> dict[str, str]:
  """Reads a CSV file of lines `video,emotion`: names of videos and of emotions.

  Raises InputError, with the line, for anything else.
  """
  try:
    rows = list(csv.reader(Path(path).read_text().splitlines()))
  except (OSError, UnicodeDecodeError) as error:
    raise InputError(f'got {path} that cannot be read ({error}), expected a CSV file') from None
  found = {}
  for number, row in enumerate(rows, 1):
    if not row or row == ['video', 'emotion']:
      continue
    if len(row) != 2 or row[1].strip() not in schema.EMOTIONS:
      hint = did_you_mean(row[1].strip(), schema.EMOTIONS) if len(row) == 2 else ''
      raise InputError(f'got {",".join(row)!r} in line {number} of {path}, expected '
                       f'VIDEO,EMOTION{hint}')  # fmt: skip
    found[row[0].strip()] = row[1].strip()
  return found


def _sources(
  videos: Sequence[str | Path], name: str, labels: Mapping[str, str]
) -> list[sources.ClipSource]:
  found: list[Path] = []
  for path in map(Path, videos):
    if path.is_dir():
      found += _of_one_folder(path)
    elif path.is_file():
      found.append(path)
    else:
      raise InputError(f'got {path}, expected a video file or a folder of them; check the path')
  unknown = labels.keys() - {path.name for path in found}
  if unknown:
    first = min(unknown)
    hint = did_you_mean(first, [path.name for path in found])
    raise InputError(f'got a label for {first!r}, which is none of the videos{hint}')
  ids = sources.unique_ids(found)
  name = name or found[0].stem
  return [
    sources.ClipSource(
      ident, KIND, name, labels.get(path.name, ''), 0, 'front', 'train', path,
      sources.sound_beside(path),
    )
    for ident, path in zip(ids, found, strict=True)
  ]  # fmt: skip


def _of_one_folder(folder: Path) -> list[Path]:
  """The videos of a folder; where it has several folders of people, that is said."""
  clips = sources.folder(folder)[0]
  people = sorted({clip.subject for clip in clips})
  if len(people) > 1:
    raise InputError(
      f'got {folder} with folders of {len(people)} people ({", ".join(people[:3])}), expected '
      'videos of one; give the folder of one of them'
    )
  return [clip.video_path for clip in clips]


def _see(clip: sources.ClipSource, tools: ingest.Tools) -> ingest.Sighting:
  """As `ingest.see`, but a person must be heard."""
  sighting = ingest.see(clip, tools, pictured=True)
  if sighting.unheard:
    raise sighting.unheard
  return sighting


def _attempt(verb, clip: sources.ClipSource, *arguments):
  """One video that cannot be used ends it: who filmed it must decide, not a default."""
  try:
    return verb(*arguments)
  except ingest.Rejected as why:
    raise InputError(
      f'got {clip.video_path} that cannot be used: {why}; leave it out or film again'
    ) from None


def _check_length(seen: Sequence[ingest.Sighting]) -> None:
  seconds = sum(float(s.track.valid.sum()) for s in seen) / schema.FRAME_RATE
  if seconds < SHORTEST:
    raise InputError(
      f'got {seconds:.1f} s of a face, expected {SHORTEST:.0f} s or more (a minute is better); '
      'film more, or give more videos of the same person'
    )


def _check_one_person(seen: Sequence[ingest.Sighting]) -> list[str]:
  """Raises InputError for faces of two people; returns a note where nobody can tell."""
  if len(seen) < 2:
    return []
  if not identity.is_there():
    return ['whether the videos show one person was not checked; `make carriers` brings what can']
  embed = identity.load()
  faces = [embed(np.stack(list(_faces(one)))).mean(0) for one in seen]
  faces = [face / np.linalg.norm(face) for face in faces]
  for one, face in zip(seen[1:], faces[1:], strict=True):
    alike = float(face @ faces[0])
    if alike < _ONE_PERSON:
      raise InputError(
        f'got {seen[0].source.video_path} and {one.source.video_path} of two people (their faces '
        f'are alike by {alike:.2f}, one person by {_ONE_PERSON} or more), expected one; make a '
        'portrait of each'
      )
  return []


def _faces(sighting: ingest.Sighting) -> Iterator[np.ndarray]:
  """A few faces of a video, early in its track."""
  track = sighting.track
  wanted = {track.start + i for i in np.flatnonzero(track.valid)[::_APART][:_LOOKS]}
  for number, frame in enumerate(video.stream(sighting.source.video_path)):
    if number in wanted:
      yield identity.align(frame, track.landmarks[number - track.start])
    if number >= max(wanted):
      return


def _cut(clips: Sequence[ingest.Ingested]) -> list[Piece]:
  """All pieces in time; the last ones are held out."""
  pieces = [
    Piece(clip, start, stop, 'train', clip.source.emotion)
    for clip in clips
    for start, stop in cuts.at_pauses(clip.wave, len(clip.record['motion']))
  ]
  held = cuts.held_out([piece.stop - piece.start for piece in pieces])
  return pieces[: len(pieces) - held] + [p._replace(split='test') for p in pieces[-held:] if held]


def _likeness(pieces: Sequence[Piece], spool: Path, shape: fitting.Shape) -> Person | None:
  """Shape, skin and light, from the pieces for training."""
  head = load_head()
  parts = [(spool / piece.clip.source.id, slice(piece.start, piece.stop)) for piece in pieces]
  return spooled.person(head, parts, displacement.over_mesh(head, shape.offset))


def _with_shoulders(
  likeness: Person, clips: Sequence[ingest.Ingested], pieces: Sequence[Piece], spool: Path
) -> tuple[Person, dict[str, np.ndarray]]:
  """The person with shoulders where some can be followed, and their sway by video."""
  watched = shoulders.watch([
    shoulders.Clip(spool / clip.source.id, clip.landmarks, _training(clip, pieces))
    for clip in clips
  ])  # fmt: skip
  if watched is None:
    return likeness, {}
  ids = [clip.source.id for clip in clips]
  return dataclasses.replace(likeness, bust=watched.bust), dict(
    zip(ids, watched.sways, strict=True)
  )


def _training(clip: ingest.Ingested, pieces: Sequence[Piece]) -> np.ndarray:
  """The tracked frames of a video that are in its pieces for training."""
  among = np.zeros(len(clip.record['motion']), bool)
  for piece in pieces:
    if piece.split == 'train' and piece.clip is clip:
      among[piece.start : piece.stop] = True
  return np.flatnonzero(among & (clip.record['valid'] > 0))


def _records(
  pieces: Sequence[Piece], spool: Path, likeness: Person, sways: Mapping[str, np.ndarray]
) -> Iterator[dict[str, Any]]:
  """Records of the pieces; one whole video, without renderings, in memory at a time."""
  whole: dict[str, Any] = {}
  loaded, size = '', 0
  for piece in pieces:
    if piece.clip.source.id != loaded:
      loaded = piece.clip.source.id
      whole, size = spooled.read(spool / loaded)
      whole['sway'] = sways.get(loaded, whole['sway'])
    record = schema.part(whole, piece.start, piece.stop) | {'id': piece.id}
    yield record | {'renderings': list(prepare.encoded_renderings(record, size, likeness))}


def _facts(piece: Piece) -> dict[str, Any]:
  """The line of the report."""
  frames = piece.stop - piece.start
  seconds = round(frames / schema.FRAME_RATE, 2)
  own = {'id': piece.id, 'frames': frames, 'seconds': seconds, 'split': piece.split}
  return piece.clip.facts | own


def _watched(items: Sequence[Any], what: str, progress: bool) -> Iterator[Any]:
  return iter(tqdm(items, desc=what, unit='video', disable=not progress, delay=0.1))
