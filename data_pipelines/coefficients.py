"""Ready coefficients of BFM (Deep3DFaceRecon's `coeff`) to records: `gmtalker prepare bfm`.

Nothing is tracked and there are no pictures: a clip is a .mat file, and its sound lies beside it.
"""

from pathlib import Path
from typing import Any

import numpy as np

from gmtalker_jax import speech
from gmtalker_jax.core.errors import InputError
from gmtalker_jax.data import schema
from gmtalker_jax.face import bfm
from gmtalker_jax.face.model import FaceModel
from gmtalker_jax.io import files, heads, mat_files

from . import build, ingest, report, sources
from .prepare import check_out

KIND = 'bfm'
_MOST_FPS = 240.0


def prepare(
  src: str | Path,
  out: str | Path,
  head: str,
  *,
  encoder: str = speech.DEFAULT,
  fps: float = schema.FRAME_RATE,
  silence: bool = False,
  overwrite: bool = False,
) -> dict[str, Any]:
  """Turns a folder of .mat files into records of the layout 'bfm', and a report.

  Args:
    src: the folder, see `sources.bfm`.
    out: a new folder for records/ and report.json.
    head: BFM_model_front.mat, whose width is the unit of translations.
    encoder: speech features, see speech/__init__.py.
    fps: frames per second of the coefficients; they become 25 along straight lines.
    silence: a clip without sound is a silent one, instead of rejected.
    overwrite: replace `out` if it exists.

  Returns:
    the report (report.make).

  Raises:
    InputError: a head of another kind, a folder without clips, an `out` that exists.
  """
  src, out = Path(src), Path(out)
  check_out(out, overwrite)
  if not 1 <= fps <= _MOST_FPS:
    raise InputError(f'got {fps} frames per second, expected 1 to {_MOST_FPS:.0f}')
  speech.open(encoder)
  model = heads.load(head)
  if model.layout != KIND:
    raise InputError(f'got a head of the layout {model.layout!r}, expected BFM_model_front.mat')
  clips, problems = sources.bfm(src)
  records, facts, rejected = {}, {}, []
  for clip in clips:
    try:
      records[clip.id], facts[clip.id] = _read(clip, model, encoder, fps, silence)
    except ingest.Rejected as why:
      path = str(clip.video_path.relative_to(src))
      rejected.append({'id': clip.id, 'code': why.code, 'reason': str(why), 'path': path})
  taken, note = sources.balanced_splits(clip for clip in clips if clip.id in records)
  problems = [{'path': p.path, 'code': p.code, 'reason': p.sentence} for p in problems]
  with files.replacing_folder(out) as work:
    if taken:
      splits = {
        name: [records[c.id] for c in taken if c.split == name] for name in ('train', 'test')
      }
      build.write_records(splits, work, KIND)
    accepted = [facts[clip.id] | {'split': clip.split} for clip in taken]
    made = report.make(KIND, accepted, rejected, problems, [note] if note else [])
    report.save(made, work)
  return made


def _read(
  clip: sources.ClipSource, model: FaceModel, encoder: str, fps: float, silence: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
  """A clip's record and its facts. Raises Rejected."""
  try:
    _, person, motion = bfm.read(model, mat_files.read(clip.video_path).get('coeff', np.zeros(0)))
  except InputError as error:
    raise ingest.Rejected('bad_coefficients', str(error)) from None
  expression, moved = (_resampled(np.asarray(x), fps) for x in (motion.expression, motion.motion))
  if clip.audio_path is not None:
    wave = ingest.sound(clip)
    ingest.check_lengths(len(wave) / schema.SAMPLE_RATE, len(moved) / schema.FRAME_RATE)
    notes = []
  elif silence:
    wave = np.zeros(len(moved) * schema.SAMPLES_PER_FRAME, np.float32)
    notes = ['no sound: silence stands for it, so nothing can be learnt of its lips']
  else:
    raise ingest.Rejected('no_sound', 'no sound file of its name beside it; see --silence')
  wave, frames = ingest.aligned(wave, 0, len(moved))
  record = ingest.new_record(clip, encoder, wave, frames, 0.0)
  record |= {
    'layout': model.layout,
    'expression': expression[:frames],
    'motion': moved[:frames],
    'identity': np.asarray(person.identity, np.float32),
    'valid': np.ones(frames, np.float32),
  }
  facts = {'landmark_error': None, 'audio_lag': 0.0, 'notes': notes}
  return record, ingest.clip_facts(clip, frames) | facts


def _resampled(rows: np.ndarray, fps: float) -> np.ndarray:
  """Rows [T, C] at `fps` as rows at 25 a second, on straight lines between them."""
  frames = max(round(len(rows) * schema.FRAME_RATE / fps), 1)
  at = np.arange(frames) * fps / schema.FRAME_RATE
  columns = [np.interp(at, np.arange(len(rows)), column) for column in rows.T]
  return np.stack(columns, 1).astype(np.float32)
