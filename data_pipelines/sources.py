"""Which clips a folder holds, and what its names say about them. Opens no media.

Names are matched, never counted: a folder called `disgust` is a problem with the nearest valid
name beside it, not emotion number two.
"""

import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from gmtalker_jax.core.errors import InputError, did_you_mean
from gmtalker_jax.data import schema

VIEWS = ('front', 'left_30', 'left_60', 'right_30', 'right_60', 'top', 'down')
VIDEO_SUFFIXES = ('.mp4', '.mov', '.m4v', '.avi', '.mkv', '.webm', '.mpg', '.mpeg')
AUDIO_SUFFIXES = ('.m4a', '.wav', '.flac', '.mp3')

_TEST_NEUTRAL, _TEST_OTHERS = 10, 6  # MEAD's official split: the last sentences of each level
_TEST_SHARE = 0.1  # of everything else


class ClipSource(NamedTuple):
  """One clip before anything is opened. `audio_path` is None where the video has its own sound."""

  id: str
  dataset: str
  subject: str
  emotion: str  # one of schema.EMOTIONS, or '' where unknown
  level: int  # 1..3, 0 where unknown
  view: str
  split: str  # 'train' | 'test'
  video_path: Path
  audio_path: Path | None = None
  truth_path: Path | None = None


class Problem(NamedTuple):
  """Something in the folder that is not a clip but looks as if it should be one."""

  path: str  # inside the folder
  code: str
  sentence: str


Listing = tuple[list[ClipSource], list[Problem]]


def mead(folder: str | Path) -> Listing:
  """Clips of ID/video/view/emotion/level_n/NNN.mp4 with sound in ID/audio/emotion/level_n/NNN.m4a.

  The official split: per person, view, emotion and level the last 10 sentences of neutral and the
  last 6 of any other emotion are for test. A number in between (ID/video/1/view, as W021 has) is
  skipped over.

  Raises:
    InputError: the folder is missing or has no clip in this layout.
  """
  folder, clips, problems = _existing(folder), [], []
  for video in _videos(folder):
    parts = video.relative_to(folder).parts
    try:
      clips.append(_mead_clip(folder, video, parts))
    except _BadName as bad:
      problems.append(Problem('/'.join(parts), bad.code, bad.sentence))
  return _official_split(_found(clips, problems, folder, 'ID/video/view/emotion/level_n/NNN.mp4'))


def lrs3(folder: str | Path) -> Listing:
  """Clips of {pretrain,trainval,test}/speaker/NNNNN.mp4; no emotions. `test` is for test.

  Raises:
    InputError: the folder is missing or has no clip in this layout.
  """
  folder, clips, problems = _existing(folder), [], []
  parts_of_lrs3 = ('pretrain', 'trainval', 'test')
  for video in _videos(folder):
    parts = video.relative_to(folder).parts
    if len(parts) != 3 or parts[0] not in parts_of_lrs3:
      sentence = f'expected {{pretrain,trainval,test}}/speaker/NNNNN.mp4, got {"/".join(parts)}'
      if len(parts) == 3:
        sentence += did_you_mean(parts[0], parts_of_lrs3)
      problems.append(Problem('/'.join(parts), 'bad_path', sentence))
      continue
    split = 'test' if parts[0] == 'test' else 'train'
    name = f'{parts[0]}_{parts[1]}_{video.stem}'
    clips.append(ClipSource(
      name, 'lrs3', parts[1], '', 0, 'front', split, video, None, _beside(video, ('.npz',))
    ))  # fmt: skip
  return _found(clips, problems, folder, '{pretrain,trainval,test}/speaker/NNNNN.mp4')


def folder(folder: str | Path) -> Listing:
  """Any talking videos: the nearest folder names the person, a tenth by hash is for test.

  Raises:
    InputError: the folder is missing or has no video.
  """
  folder = _existing(folder)
  clips = []
  for video in _videos(folder):
    relative = video.relative_to(folder)
    subject = relative.parent.name or folder.name
    name = _safe('_'.join(relative.with_suffix('').parts))
    split = 'test' if _hash_share(name) < _TEST_SHARE else 'train'
    sound = sound_beside(video)
    clips.append(ClipSource(name, 'folder', subject, '', 0, 'front', split, video, sound))
  return _found(clips, [], folder, f'videos ({" ".join(VIDEO_SUFFIXES)})')


def bfm(folder: str | Path) -> Listing:
  """Ready coefficients: .mat files, each with a sound file of its name beside it (or none).

  A name ID_VIEW_EMOTION_levelN_NNN, as M030_front_sad_level3_001, says what MEAD's folders say; of
  others the nearest folder names the person, and a tenth by hash is for test.

  Raises:
    InputError: the folder is missing or has no .mat file.
  """
  folder, clips, problems = _existing(folder), [], []
  for path in _files(folder, ('.mat',)):
    relative = path.relative_to(folder)
    match = re.fullmatch(r'([MW]\d{3})_(\w+?)_([a-z]+)_level_?(\d)_(\d+)', path.stem)
    if match:
      who, view, emotion, level, number = match.groups()
      parts = (who, 'video', view, emotion, f'level_{level}', f'{number}.mat')
      try:
        clip = _mead_clip(folder, path, parts, int(number))
      except _BadName as bad:
        problems.append(Problem(str(relative), bad.code, bad.sentence))
        continue
      clips.append(clip._replace(dataset='bfm', audio_path=sound_beside(path), truth_path=None))
      continue
    subject, name = relative.parent.name or folder.name, '_'.join(relative.with_suffix('').parts)
    split = 'test' if _hash_share(name) < _TEST_SHARE else 'train'
    sound = sound_beside(path)
    clips.append(ClipSource(_safe(name), 'bfm', subject, '', 0, 'front', split, path, sound))
  return _found(clips, problems, folder, 'coefficients (.mat)')


def sound_beside(video: Path) -> Path | None:
  """The sound file of a video that comes without its own; None where there is none."""
  return _beside(video, AUDIO_SUFFIXES)


def unique_ids(videos: Iterable[Path]) -> list[str]:
  """An id for each file, of its name; a number where a name comes again."""
  seen: Counter[str] = Counter()
  ids = []
  for video in videos:
    name = _safe(video.stem)
    seen[name] += 1
    ids.append(name if seen[name] == 1 else f'{name}-{seen[name]}')
  return ids


def procedural(folder: str | Path) -> Listing:
  """The built-in corpus (procedural/corpus.py): mead/ and lrs3/, the truth beside each clip.

  Raises:
    InputError: the folder is missing, holds neither, or a clip has no truth.
  """
  folder, clips, problems = _existing(folder), [], []
  for name, listing in (('mead', mead), ('lrs3', lrs3)):
    part = folder if folder.name == name else folder / name  # the corpus, or one part of it
    if part.is_dir():
      some, bad = listing(part)
      clips += [clip._replace(dataset='procedural') for clip in some]
      problems += [p._replace(path=f'{name}/{p.path}') for p in bad]
  if not clips:
    raise InputError(f'got {folder} without mead/ or lrs3/, expected a corpus: gmtalker corpus')
  for clip in clips:
    if clip.truth_path is None:
      path = str(clip.video_path.relative_to(folder))
      problems.append(Problem(path, 'no_truth', 'no .npz with the truth beside the clip'))
  return [clip for clip in clips if clip.truth_path is not None], problems


KINDS: dict[str, Callable[[str | Path], Listing]] = {
  'mead': mead,
  'lrs3': lrs3,
  'folder': folder,
  'procedural': procedural,
}


def balanced_splits(clips: Iterable[ClipSource]) -> tuple[list[ClipSource], str]:
  """Makes sure that neither split is empty; returns the clips and a sentence where it had to act.

  Where a split is empty, a tenth of the clips (at least one) becomes test by the hash of their
  ids; a single clip is for training.
  """
  clips = list(clips)
  counts = Counter(clip.split for clip in clips)
  if len(clips) < 2 or (counts['train'] and counts['test']):
    only = len(clips) == 1 and clips[0].split == 'test'
    sentence = 'the only clip is used for training: nothing is left for test' if only else ''
    return [clip._replace(split='train') for clip in clips] if only else clips, sentence
  order = sorted(clips, key=lambda clip: _hash_share(clip.id))
  test = {clip.id for clip in order[: max(1, round(_TEST_SHARE * len(clips)))]}
  empty = 'train' if not counts['train'] else 'test'
  sentence = (
    f'the usual split left {empty!r} empty: {len(test)} of {len(clips)} clips were chosen for test '
    'by the hash of their ids instead'
  )
  return [c._replace(split='test' if c.id in test else 'train') for c in clips], sentence


class _BadName(Exception):
  def __init__(self, code: str, sentence: str):
    super().__init__(sentence)
    self.code, self.sentence = code, sentence


def _mead_clip(
  folder: Path, video: Path, parts: tuple[str, ...], number: int | None = None
) -> ClipSource:
  if len(parts) == 7 and parts[2].isdigit():
    parts = parts[:2] + parts[3:]
  if len(parts) != 6 or parts[1] != 'video':
    raise _BadName(
      'bad_path', f'expected ID/video/view/emotion/level_n/NNN.mp4, got {"/".join(parts)}'
    )
  subject, _, view, emotion, level, _ = parts
  if view not in VIEWS:
    raise _BadName('bad_view', f'view {view!r} is unknown' + did_you_mean(view, VIEWS))
  if emotion not in schema.EMOTIONS:
    near = did_you_mean(emotion, schema.EMOTIONS)
    raise _BadName('bad_emotion', f'emotion {emotion!r} is unknown' + near)
  match = re.fullmatch(r'level_([1-3])', level)
  if not match or (emotion == 'neutral' and match[1] != '1'):
    known = ('level_1',) if emotion == 'neutral' else ('level_1', 'level_2', 'level_3')
    raise _BadName('bad_level', f'level {level!r} is unknown' + did_you_mean(level, known))
  if not re.fullmatch(r'[MW]\d{3}', subject):
    raise _BadName('bad_subject', f'person {subject!r} is unknown; expected M### or W###')
  if number is None and not video.stem.isdigit():
    raise _BadName('bad_number', f'sentence {video.stem!r} is not a number')
  sound = folder / subject / 'audio' / emotion / level / f'{video.stem}.m4a'
  sentence = video.stem if number is None else f'{number:03d}'
  name = f'{subject}_{view}_{emotion}_{match[1]}_{sentence}'
  return ClipSource(
    name, 'mead', subject, emotion, int(match[1]), view, 'train', video,
    sound if sound.is_file() else None, _beside(video, ('.npz',)),
  )  # fmt: skip


def _official_split(listing: Listing) -> Listing:
  clips, problems = listing
  groups = defaultdict(list)
  for clip in clips:
    groups[clip.subject, clip.view, clip.emotion, clip.level].append(clip)
  test = set()
  for (_, _, emotion, _), group in groups.items():
    last = _TEST_NEUTRAL if emotion == 'neutral' else _TEST_OTHERS
    group.sort(key=lambda clip: int(clip.video_path.stem))
    test |= {clip.id for clip in group[-last:]}
  return [c._replace(split='test' if c.id in test else 'train') for c in clips], problems


def _existing(folder: str | Path) -> Path:
  folder = Path(folder)
  if not folder.is_dir():
    raise InputError(f'got {folder}, expected a folder of clips, check the path')
  return folder


def _videos(folder: Path) -> list[Path]:
  return _files(folder, VIDEO_SUFFIXES)


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
  """Files of some kinds in a folder and below, through links too; what is hidden is left out."""
  found, seen = [], set()
  for place, folders, files in os.walk(folder, followlinks=True):
    known = os.path.realpath(place) in seen  # a link to a folder above would never end
    seen.add(os.path.realpath(place))
    folders[:] = [] if known else [name for name in folders if not name.startswith('.')]
    names = () if known else files
    found += [Path(place, name) for name in names if not name.startswith('.')]
  return sorted(p for p in found if p.suffix.lower() in suffixes and p.is_file())


def _found(clips: list[ClipSource], problems: list[Problem], folder: Path, form: str) -> Listing:
  if clips:
    return clips, problems
  hint = f'; the first problem: {problems[0].path}: {problems[0].sentence}' if problems else ''
  raise InputError(f'got {folder} without a clip, expected {form}{hint}')


def _beside(video: Path, suffixes: tuple[str, ...]) -> Path | None:
  """A file with the video's name and another suffix."""
  return next((p for p in map(video.with_suffix, suffixes) if p.is_file()), None)


def _safe(name: str) -> str:
  return re.sub(r'[^\w.-]+', '_', name)


def _hash_share(name: str) -> float:
  """A number 0..1 that belongs to the name."""
  return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64
