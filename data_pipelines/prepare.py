"""A folder of talking videos to records: the whole of `gmtalker prepare`.

Clips are ingested one by one, in worker processes if asked for; the results wait in a hidden folder
beside OUT, which is renamed to OUT when everything is in it.
"""

import collections
import dataclasses
import multiprocessing
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent import futures
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from gmtalker_jax import speech
from gmtalker_jax.core.errors import InputError, check_choice, did_you_mean
from gmtalker_jax.face import render
from gmtalker_jax.face.landmark_model import LandmarkModel
from gmtalker_jax.face.person import Person
from gmtalker_jax.io import files, video
from gmtalker_jax.io.heads import load_head
from gmtalker_jax.types import Coefficients

from . import build, contact_sheet, ingest, report, sources, spooled, truth
from .landmarker import Landmarker

CONTACT_SHEET = 'contact_sheet.jpg'
_RENDERED_AT_ONCE = 64  # frames: bounds the memory
PLAIN = Person.plain(np.zeros(0, np.float32))  # each clip has an identity of its own
_BEGUN_AT_ONCE = 32  # clips, more than workers: a long one does not make the others wait


class Task(NamedTuple):
  """What a worker does for one clip."""

  source: sources.ClipSource
  encoder: str
  size: int  # pixels of kept frames; 0 = keep none
  spool: Path


class Done(NamedTuple):
  """What a worker gives back: facts and a strip for the sheet; `code` where it was rejected."""

  source: sources.ClipSource
  facts: dict[str, Any]  # empty where there was nothing to measure
  strip: contact_sheet.Strip | None
  code: str = ''
  reason: str = ''


def prepare(
  kind: str,
  src: str | Path,
  out: str | Path,
  *,
  encoder: str = speech.DEFAULT,
  with_frames: bool | str = False,
  size: int = 256,
  plain: bool = False,
  workers: int | None = None,
  progress: bool = True,
  overwrite: bool = False,
) -> dict[str, Any]:
  """Turns a folder of clips into records, a report and a contact sheet.

  Args:
    kind: a key of `sources.KINDS`.
    src: the folder.
    out: a new folder for records/, report.json and contact_sheet.jpg.
    encoder: speech features, see speech/__init__.py.
    with_frames: keep photographs and renderings of everyone (True) or of one subject (a name).
    size: pixels of those pictures.
    plain: render everyone with the head's own skin and light, without a fitted likeness.
    workers: processes; None = as many as there are cores, at most 2.
    progress: show a bar on stderr.
    overwrite: replace `out` if it exists.

  Returns:
    the report (report.make). A clip that cannot be used is in it with the reason; nothing stops.

  Raises:
    InputError: an unknown kind, encoder or subject, a folder without clips, an `out` that exists.
  """
  src, out = Path(src), Path(out)
  check_choice('kind', kind, sources.KINDS)
  check_out(out, overwrite, size)
  speech.open(encoder)
  clips, problems = sources.KINDS[kind](src)
  _check_subject(with_frames, clips)
  with files.replacing_folder(out) as work:
    keep = lambda clip: size if with_frames in (True, clip.subject) else 0  # noqa: E731
    spool = work / 'spool'
    spool.mkdir()
    tasks = [Task(clip, encoder, keep(clip), spool) for clip in clips]
    done = _collect(_run(tasks, workers or min(2, os.cpu_count() or 1), progress), work)
    made = _write(kind, src, work, done, problems, plain)
    shutil.rmtree(spool)
  return made


def _collect(results: Iterable[Done], work: Path) -> list[Done]:
  """Writes the contact sheet; returns the results without its pictures, which are large."""
  sheet, done = contact_sheet.Sheet(), []
  for one in results:
    if one.strip:
      sheet.add(one.strip)
    done.append(one._replace(strip=None))
  sheet.save(work / CONTACT_SHEET)
  return done


def _write(
  kind: str, src: Path, work: Path, done: list[Done], problems, plain: bool
) -> dict[str, Any]:
  """Writes records and report into `work`."""
  taken = [d for d in done if not d.code]
  clips, note = sources.balanced_splits(d.source for d in taken)
  accepted = [d.facts | {'split': c.split} for d, c in zip(taken, clips, strict=True)]
  rejected = [
    {'id': d.source.id, 'code': d.code, 'reason': d.reason, 'path': _inside(d.source, src)}
    | ({'landmark_error': d.facts['landmark_error']} if d.facts else {})
    for d in done
    if d.code
  ]
  problems = [{'path': p.path, 'code': p.code, 'reason': p.sentence} for p in problems]
  if taken:
    spool = work / 'spool'
    # The pictures of the built-in corpus are invented on the plain head: there is nobody to fit.
    people = {} if plain or kind == 'procedural' else _people(clips, spool)
    splits = {
      name: _records([c for c in clips if c.split == name], spool, people)
      for name in ('train', 'test')
    }
    build.write_records(splits, work, kind, people=people)
  else:
    note = 'no clip could be used, so there are no records'
  made = report.make(kind, accepted, rejected, problems, [note] if note else [])
  report.save(made, work)
  return made


def _run(tasks: list[Task], workers: int, progress: bool) -> Iterator[Done]:
  """Ingests all clips, in order."""
  bar = partial(
    tqdm, total=len(tasks), desc='prepare', unit='clip', disable=not progress, delay=0.1
  )
  if workers <= 1 or len(tasks) <= 1:
    yield from bar(map(work_on, tasks))
    return
  # A forked JAX may hang, so workers start fresh.
  context = multiprocessing.get_context('spawn')
  with futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
    yield from bar(_in_order(pool, tasks))


def _in_order(pool: futures.Executor, tasks: list[Task]) -> Iterator[Done]:
  """As `pool.map`, but with few results at a time: each holds pictures."""
  begun: collections.deque[futures.Future[Done]] = collections.deque()
  try:
    for task in tasks:
      if len(begun) == _BEGUN_AT_ONCE:
        yield begun.popleft().result()
      begun.append(pool.submit(work_on, task))
    while begun:
      yield begun.popleft().result()
  finally:
    for future in begun:
      future.cancel()


def work_on(task: Task) -> Done:
  """One clip: ingests it and spools its record and its pictures."""
  try:
    using, invented = tools(task.encoder), task.source.dataset == 'procedural'
    read = truth.read if invented else partial(ingest.ingest, pictured=task.size > 0)
    clip = read(task.source, using)
    return Done(clip.source, clip.facts, spool(task, clip))
  except ingest.Rejected as why:
    clip = why.seen
    if clip is None:
      return Done(task.source, {}, None, why.code, str(why))
    strip = _strip(clip, _second_pass(clip), f'{clip.facts["id"]}   REJECTED: {why}')
    return Done(task.source, clip.facts, strip, why.code, str(why))


@cache
def tools(encoder: str) -> ingest.Tools:
  """What ingesting needs; made once per process."""
  return ingest.Tools(Landmarker(), LandmarkModel.of(_head()), encoder)


@cache
def _head():
  return load_head()


def spool(task: Task, clip: ingest.Ingested) -> contact_sheet.Strip:
  """Writes the record, and the pictures if they are kept."""
  with spooled.writing(task.spool / clip.source.id, clip.record, task.size) as keep:

    def cut(frame: np.ndarray) -> None:
      keep(clip.crop.cut(frame, task.size))

    pictures = _second_pass(clip, cut if task.size else None)
  return _strip(clip, pictures, _label(clip))


def _second_pass(clip: ingest.Ingested, keep=None) -> np.ndarray:
  """Reads the video again, for its pictures: the first pass held no frame.

  Calls `keep` with every frame of the clip; returns the crops that the contact sheet shows.
  """
  frames = len(clip.record['motion'])
  shown, pictures = contact_sheet.choose(frames), {}
  for at, frame in enumerate(video.stream(clip.source.video_path), -clip.start):
    if at >= frames:
      break
    if at in shown:
      pictures[at] = clip.crop.cut(frame, contact_sheet.CELL)
    if keep and at >= 0:
      keep(frame)
  return np.stack([pictures[at] for at in shown])


def _strip(clip: ingest.Ingested, pictures: np.ndarray, label: str) -> contact_sheet.Strip:
  shown = contact_sheet.choose(len(clip.record['motion']))
  renderings = rendered(clip.record, shown, contact_sheet.CELL)
  return contact_sheet.Strip(label, pictures, renderings, clip.landmarks[shown])


def _label(clip: ingest.Ingested) -> str:
  facts = clip.facts
  text = f'{facts["id"]}   error {facts["landmark_error"]:.1%}'
  return text + f'   sound {facts["audio_lag"]:+.2f} s   {facts["seconds"]:.1f} s'


def _records(
  clips: list[sources.ClipSource], spool: Path, people: Mapping[str, Person]
) -> Iterator[dict[str, Any]]:
  """Records of the spooled clips, one in memory at a time."""
  for clip in clips:
    record, size = spooled.read(spool / clip.id)
    person = people.get(clip.subject, PLAIN)
    record['renderings'] = list(encoded_renderings(record, size, person)) if size else []
    yield record


def _people(clips: list[sources.ClipSource], spool: Path) -> dict[str, Person]:
  """The likeness of every subject whose frames are kept, from the clips for training."""
  found = {}
  for subject in sorted({clip.subject for clip in clips}):
    mine = [
      (spool / c.id, slice(None)) for c in clips if (c.subject, c.split) == (subject, 'train')
    ]
    found[subject] = spooled.person(_head(), mine)
  return {subject: person for subject, person in found.items() if person}


def encoded_renderings(record, size: int, person: Person) -> Iterator[bytes]:
  """The head of every frame of a record with the skin and light of a person, as PNG."""
  frames = len(record['motion'])
  for start in range(0, frames, _RENDERED_AT_ONCE):
    for picture in rendered(record, slice(start, start + _RENDERED_AT_ONCE), size, person):
      yield png(picture)


def png(picture: np.ndarray) -> bytes:
  """Encodes a rendering uint8 [H, W, 3]."""
  ok, encoded = cv2.imencode('.png', picture[..., ::-1])
  assert ok
  return encoded.tobytes()


def rendered(record, frames: slice | list[int], size: int, person: Person = PLAIN) -> np.ndarray:
  """The head in some frames of a record, uint8 [T, size, size, 3]."""
  sway = record['sway'][frames] if person.bust is not None else None
  coefficients = Coefficients(record['expression'][frames], record['motion'][frames], sway)
  batch = min(16, len(coefficients.motion))
  own = dataclasses.replace(person, identity=record['identity'])  # what its coefficients fit
  return render.render_frames(_head(), own, coefficients, size, batch)


def check_out(out: Path, overwrite: bool, size: int | None = None) -> None:
  """Raises InputError unless `out` can be written and pictures of `size`, if any, kept."""
  if size is not None and size < 32:
    raise InputError(f'got size {size}, expected at least 32 pixels')
  if out.exists() and not overwrite and (not out.is_dir() or any(out.iterdir())):
    raise InputError(f'got {out} which exists, expected a new folder, choose another or remove it')


def _check_subject(with_frames: bool | str, clips: list[sources.ClipSource]) -> None:
  people = {clip.subject for clip in clips}
  if isinstance(with_frames, str) and with_frames not in people:
    hint = did_you_mean(with_frames, people)
    raise InputError(f'got frames of {with_frames!r}, who is in none of the clips{hint}')


def _inside(clip: sources.ClipSource, src: Path) -> str:
  return str(clip.video_path.relative_to(src))
