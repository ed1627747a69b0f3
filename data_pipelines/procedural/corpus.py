"""The built-in corpus: invented people who speak, on disk, with the truth beside each clip.

    OUT/corpus.json                                           parameters, people, counts, licence
    OUT/mead/ID/video/front/EMOTION/level_N/NNN.mp4           seated, all emotions and levels
                                        .../NNN.npz           the truth of that clip
    OUT/mead/ID/audio/EMOTION/level_N/NNN.m4a
    OUT/lrs3/{pretrain,test}/ID/NNNNN.{mp4,txt,npz}           on a stage: the head moves more

A truth file holds expression [T, 50], motion [T, 12], identity [80], and the scalars emotion,
level, text, subject, split; the sounds are phoneme_start, phoneme_end (seconds), phoneme (IPA).
"""

import functools
import itertools
import multiprocessing
import os
import zlib
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.io import audio, files, video
from gmtalker_jax.io.heads import load_head
from gmtalker_jax.types import Coefficients

from . import people as crowd
from . import perform, photo, sentences

VERSION = 3
LICENCE = 'CC0-1.0'
STAGE_MOTION = 2.5  # how much more a speaker on a stage moves than one seated before a camera
SPOKEN_ON_STAGE = ('neutral', 'neutral', 'happy', 'sad', 'angry', 'surprised')


class Clip(NamedTuple):
  """One clip to make. `path` is the video without its suffix, inside the corpus."""

  path: str
  sound: str | None  # the separate sound file of MEAD
  person: crowd.Person
  text: str
  emotion: str
  level: int
  split: str  # 'train' | 'test'
  size: int


def build(
  out: str | Path,
  people: int = 2,
  sentences: int = 3,
  size: int = 256,
  seed: int = 0,
  portrait_sentences: int = 2,
  test_sentences: int = 1,
  video_size: int = 96,
  stage_people: int = 3,
  stage_clips: int = 12,
  star: int = 1,
  progress: bool = True,
) -> dict:
  """Makes the corpus; returns what corpus.json says.

  The same arguments make the same clips. A run that was cut off goes on where it stopped; a clip
  counts as made when its truth is there.

  Args:
    out: a new folder, or one with an unfinished corpus of the same arguments.
    people: seated people, the star among them.
    sentences: training sentences per person, emotion and level (neutral has one level).
    size: side of the star's videos, px.
    seed: of everything.
    portrait_sentences: more training sentences of the star, per emotion and level.
    test_sentences: test sentences per person, emotion and level.
    video_size: side of everybody else's videos, px.
    stage_people: people in the LRS3 part.
    stage_clips: clips of each of them; every fourth is for test.
    star: whose portrait is made: 1 is W001, 2 M002, 3 W003 and so on.
    progress: show a progress bar on stderr.

  Raises:
    InputError: an argument out of range, or `out` holds something else.
  """
  arguments = {k: v for k, v in locals().items() if k not in ('out', 'progress')}
  _check(arguments)
  out = Path(out)
  clips = plan(**arguments)
  _open_folder(out, arguments)
  _make(out, [clip for clip in clips if not _is_made(out, clip)], progress)
  return _write_summary(out, _summary(arguments, clips, complete=True))


def plan(
  people: int,
  sentences: int,
  size: int,
  seed: int,
  portrait_sentences: int,
  test_sentences: int,
  video_size: int,
  stage_people: int,
  stage_clips: int,
  star: int = 1,
) -> list[Clip]:
  """Lists all clips without making any; arguments as in `build`."""
  clips: list[Clip] = []
  everybody = crowd.people(max(people, star), seed)
  first = everybody.pop(star - 1)
  clips += _seated(first, sentences + portrait_sentences, test_sentences, size, seed)
  for person in everybody[: people - 1]:
    clips += _seated(person, sentences, test_sentences, video_size, seed)
  for index, person in enumerate(crowd.people(stage_people, seed + 1) if stage_people else ()):
    clips += _on_stage(index, person, stage_clips, video_size, seed)
  return clips


def _seated(person, train: int, test: int, size: int, seed: int) -> Iterator[Clip]:
  for emotion in schema.EMOTIONS:
    for level in (1,) if emotion == 'neutral' else range(1, schema.LEVELS + 1):
      rng = _rng(seed, f'{person.name} {emotion} {level}')
      texts = [(t, 'train') for t in _draw(rng, 'train', train)]
      texts += [(t, 'test') for t in _draw(rng, 'test', test)]
      for number, (text, split) in enumerate(texts, 1):
        place = f'{emotion}/level_{level}/{number:03d}'
        yield Clip(
          f'mead/{person.name}/video/front/{place}', f'mead/{person.name}/audio/{place}',
          person, text, emotion, level, split, size,
        )  # fmt: skip


def _on_stage(index: int, person, count: int, size: int, seed: int) -> Iterator[Clip]:
  style = person.style._replace(motion_scale=STAGE_MOTION)
  person = person._replace(name=f'{person.name[0]}{901 + index}', style=style)  # nobody seated
  rng = _rng(seed, f'stage {person.name}')
  train, test = _draw(rng, 'train', 2 * count), _draw(rng, 'test', 2 * count)
  for number in range(count):
    split = 'test' if number % 4 == 3 else 'train'
    source = test if split == 'test' else train
    folder = 'test' if split == 'test' else 'pretrain'
    emotion = str(rng.choice(SPOKEN_ON_STAGE))
    yield Clip(
      f'lrs3/{folder}/{person.name}/{number + 1:05d}', None, person,
      ' '.join(source[2 * number : 2 * number + 2]), emotion, 1, split, size,
    )  # fmt: skip


def _draw(rng: np.random.Generator, split: str, count: int) -> list[str]:
  """Draws `count` sentences; each is used once before any is used again."""
  pool = sentences.split(split)
  rounds = [rng.permutation(len(pool)) for _ in range(-(-count // len(pool)))]
  return [pool[i] for i in np.concatenate([*rounds, np.zeros(0, int)]).astype(int)[:count]]


def _rng(seed: int, name: str) -> np.random.Generator:
  return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _make(out: Path, clips: list[Clip], progress: bool) -> None:
  if not clips:
    return
  head = load_head()
  bar = tqdm(
    total=sum(c.size**2 for c in clips), desc='corpus', disable=not progress, delay=0.1,
    bar_format='{desc}: {percentage:3.0f}%|{bar}| {elapsed} passed, {remaining} left{postfix}',
  )  # fmt: skip
  # Threads, not processes: they share what was compiled, and hardly any of the work is Python.
  pool = futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1))
  # But a process of its own writes the films: beside JAX's compiler, in the same process, x264 now
  # and then gives other bytes for the same pictures.
  studio = futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context('spawn'))
  try:
    with bar:
      made = itertools.count(1)
      for _, sitting in itertools.groupby(clips, key=_sitting):
        own = list(sitting)
        camera = photo.Photographer(own[0].person, head, own[0].size)  # one person in memory
        make = functools.partial(_make_clip, out, camera=camera, studio=studio)
        for clip in pool.map(make, own):
          bar.set_postfix_str(f'clip {next(made)} of {len(clips)}', refresh=False)
          bar.update(clip.size**2)
  finally:
    for workers in (pool, studio):
      workers.shutdown(cancel_futures=True)  # who stops it does not wait for the queue


def _sitting(clip: Clip) -> tuple:
  """What one photographer can shoot: clips of one person in one size."""
  return clip.person.name, clip.person.seed, clip.size


def _make_clip(out: Path, clip: Clip, camera: photo.Photographer, studio: futures.Executor) -> Clip:
  seed = zlib.crc32(clip.path.encode())
  played = perform.perform(clip.person, clip.text, clip.emotion, clip.level, seed)
  coefficients = Coefficients(jnp.asarray(played.expression), jnp.asarray(played.motion))
  frames = camera.shoot(coefficients, clip.emotion, clip.level)
  studio.submit(video.write, out / f'{clip.path}.mp4', frames, played.audio).result()
  if clip.sound:
    audio.write(out / f'{clip.sound}.m4a', played.audio)
  else:
    files.write_text(out / f'{clip.path}.txt', f'Text:  {clip.text.upper()}\n')
  _write_truth(out / f'{clip.path}.npz', clip, played)
  return clip


def _write_truth(path: Path, clip: Clip, played: perform.Performance) -> None:
  start, end, symbol = zip(*played.phonemes, strict=True)
  truth = {
    'expression': played.expression, 'motion': played.motion, 'identity': clip.person.identity,
    'emotion': clip.emotion, 'level': clip.level, 'text': clip.text, 'subject': clip.person.name,
    'split': clip.split, 'phoneme_start': np.array(start, np.float32),
    'phoneme_end': np.array(end, np.float32), 'phoneme': np.array(symbol, dtype=np.str_),
  }  # fmt: skip
  files.write_arrays(path, truth)


def _is_made(out: Path, clip: Clip) -> bool:
  return (out / f'{clip.path}.npz').is_file()  # written last


def _check(arguments: dict) -> None:
  least = {'people': 1, 'star': 1, 'size': 32, 'video_size': 32, 'sentences': 0, 'seed': 0}
  for name, value in arguments.items():
    if value < least.get(name, 0):
      raise InputError(f'got {name} = {value}, expected at least {least.get(name, 0)}')


def _open_folder(out: Path, arguments: dict) -> None:
  """Claims `out` for a corpus of these arguments, or finds that it already is one."""
  marker = out / 'corpus.json'
  if marker.is_file():
    before = files.read_json(marker).get('parameters')
    if before != {'version': VERSION, **arguments}:
      raise InputError(
        f'got {out} which holds a corpus of other parameters, expected the same or a new folder; '
        'choose another --out or remove it'
      )
    return
  if out.exists() and (not out.is_dir() or any(out.iterdir())):
    raise InputError(f'got {out} which is not a corpus, expected a new or empty folder')
  _write_summary(out, _summary(arguments, [], complete=False))


def _summary(arguments: dict, clips: list[Clip], complete: bool) -> dict:
  persons = {clip.person.name: clip.person for clip in clips}
  return {
    'complete': complete,
    'parameters': {'version': VERSION, **arguments},
    'licence': LICENCE,
    'people': {name: {'seed': person.seed} for name, person in persons.items()},
    'clips': {part: _count(clips, part) for part in ('mead', 'lrs3')},
  }


def _count(clips: list[Clip], part: str) -> dict[str, int]:
  splits = [clip.split for clip in clips if clip.path.startswith(part)]
  return {split: splits.count(split) for split in ('train', 'test')}


def _write_summary(out: Path, summary: dict) -> dict:
  files.write_json(out / 'corpus.json', summary)
  return summary
